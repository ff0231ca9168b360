import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { TokenmillError } from '../core/index.ts'
import { defineCommand, type Io } from './command.ts'

const options = {
  name: {
    schema: z.string().min(1),
    default: 'me',
    value: '<name>',
    help: 'Whose key it is: shown in logs and metrics',
  },
} as const

const create = defineCommand({
  name: 'create',
  summary: 'Make a new API key; print it once, and the lines for the configuration file',
  options,
  async run(values, _positionals, io) {
    // Loaded here: help and completion need none of it.
    const { createKey, hashKey } = await import('../server/index.ts')
    const key = createKey()
    io.stderr.write(`The key, shown this once: ${key}\n`)
    print(values.name, hashKey(key), io)
    return 0
  },
})

const hash = defineCommand({
  name: 'hash',
  summary: 'Read an API key from standard input and print the lines for the configuration file',
  options,
  async run(values, _positionals, io) {
    const { hashKey, minKeyCharacters } = await import('../server/index.ts')
    const key = (await text(io.stdin)).trim()
    if (key.length < minKeyCharacters) {
      const message = `The key has ${key.length} characters; it must have at least ${minKeyCharacters}. Make one with: tokenmill keys create`
      throw new TokenmillError('invalid_request', message)
    }
    print(values.name, hashKey(key), io)
    return 0
  },
})

function print(name: string, hash: string, io: Io): void {
  io.stdout.write(`apiKeys:\n  - name: ${JSON.stringify(name)}\n    hash: ${hash}\n`)
}

export const keys = defineCommand({
  name: 'keys',
  summary: 'Make API keys, and the hashes under which the configuration file stores them',
  options: {},
  examples: ['tokenmill keys create --name alice', 'printf %s "$KEY" | tokenmill keys hash --name alice'],
  subcommands: [create, hash],
})
