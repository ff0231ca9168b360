#!/usr/bin/env node
import { CommanderError } from 'commander'
import { TokenmillError } from '../core/index.ts'
import { tokenmill } from './commands.ts'
import { toProgram, type Io } from './command.ts'

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => stop.abort(new Error(`Stopped by ${name}.`)))
}
const io: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  stop: stop.signal,
}

try {
  const program = toProgram(tokenmill, io, (code) => {
    process.exitCode = code
  })
  program.exitOverride()
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitCodeOf(error)
}

/** Commander has printed its own errors; ours print their message. 78 is EX_CONFIG of sysexits.h. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode
  if (!(error instanceof TokenmillError)) throw error
  io.stderr.write(`tokenmill: ${error.message}\n`)
  return error.code === 'startup' ? 78 : 1
}
