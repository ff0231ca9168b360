import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineOptions } from '../core/index.ts'
import { defineCommand, toProgram, type CommandDefinition, type Io } from './command.ts'
import { defineCompletion } from './completion.ts'

const options = defineOptions({
  port: { schema: z.coerce.number().int().max(65_535), default: 8080, value: '<port>', help: 'Port', unit: 'ports' },
  model: { schema: z.string(), default: [], value: '<path>', help: 'Model', repeatable: true },
  layout: { schema: z.enum(['a', 'b']), value: '<layout>', help: "Its 'layout'", choices: ['a', 'b'] },
  loud: { schema: z.boolean(), default: false, help: 'Speak up' },
  color: { schema: z.boolean(), default: true, help: 'No colours' },
})

/** Runs a command line against a small tree; gives what its command received and what was printed. */
async function run(...words: string[]) {
  const output = new PassThrough()
  const text: string[] = []
  output.on('data', (chunk: Buffer) => text.push(chunk.toString()))
  const stream = output as unknown as NodeJS.WriteStream
  const io = { stdout: stream, stderr: stream, env: {}, stop: new AbortController().signal } as Io
  let received: unknown
  const serve = defineCommand({
    name: 'serve',
    summary: 'Serve',
    options,
    groups: [{ heading: 'Network', options: { port: options.port } }],
    run(values) {
      received = values
      return Promise.resolve(3)
    },
  })
  const tree: CommandDefinition = defineCommand({
    name: 'tokenmill',
    summary: 'Mill',
    options: {},
    subcommands: [serve, defineCompletion(() => tree)],
  })
  let code: number | undefined
  const failure: unknown = await toProgram(tree, io, (given) => {
    code = given
  })
    .parseAsync(['node', 'tokenmill', ...words])
    .then(() => undefined)
    .catch((error: unknown) => error)
  return { received, code, failure, text: text.join('') }
}

describe('a command', () => {
  it('gets checked values, defaults, switches, negated switches and repeated options', async () => {
    const { received, code } = await run('serve', '--port', '9', '--model', 'x', '--model', 'y', '--loud', '--no-color')
    expect(code).toBe(3)
    expect(received).toEqual({ port: 9, model: ['x', 'y'], loud: true, color: false })
    expect((await run('serve')).received).toEqual({ port: 8080, model: [], loud: false, color: true })
  })

  it('refuses what the schema refuses, and unknown flags, without running', async () => {
    for (const words of [['--port', '70000'], ['--port', 'x'], ['--layout', 'c'], ['--nonsense']]) {
      const { received, failure, text } = await run('serve', ...words)
      expect(received).toBeUndefined()
      expect(failure).toMatchObject({ exitCode: 1 })
      expect(text).toContain(words[0])
    }
  })

  it('says of a wrong value what would be right', async () => {
    expect((await run('serve', '--port', 'http')).text).toMatch(/'http' is invalid\. must be a number/)
    expect((await run('serve', '--port', '70000')).text).toMatch(/must be at most 65535/)
    expect((await run('serve', '--port', '1.5')).text).toMatch(/must be a whole number/)
    expect((await run('serve', '--layout', 'c')).text).toMatch(/must be one of a, b/)
  })

  it('shows its options in groups, with unit, choices and default', async () => {
    const { text } = await run('serve', '--help')
    expect(text).toMatch(/Network:\n +--port <port> +Port \(default: 8080 ports\)/)
    expect(text).toMatch(/--layout <layout> +Its 'layout' \(a, b\)/)
    expect(text).toMatch(/--no-color/)
  })
})

describe('completion', () => {
  it('is a script for each shell that names every command, flag and choice', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { text, code } = await run('completion', shell)
      expect(code).toBe(0)
      for (const word of ['serve', 'completion', 'port', 'layout', 'no-color', 'loud', 'fish'])
        expect(text).toContain(word)
    }
  })
})
