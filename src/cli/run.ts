import { constants } from 'node:os'
import { CommanderError } from 'commander'
import { TokenmillError } from '../core/index.ts'
import { tokenmill } from './commands.ts'
import { toProgram, type Io } from './command.ts'

/** Runs the command line and gives the exit code. The first SIGINT or SIGTERM asks to stop, the second ends at once. */
export async function main(argv: readonly string[]): Promise<number> {
  const io: Io = {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    stop: stopOnSignals(),
  }
  // `tokenmill … | head`: the reader has seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  let code = 0
  try {
    const program = toProgram(tokenmill, io, (given) => {
      code = given
    })
    await program.parseAsync([...argv])
    return code
  } catch (error) {
    return exitCodeOf(error, io)
  }
}

function stopOnSignals(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(128 + constants.signals[name])
      stop.abort(new Error(`Stopped by ${name}.`))
    })
  }
  return stop.signal
}

/** Commander has printed its own errors; ours print their message. 78 is EX_CONFIG of sysexits.h. */
function exitCodeOf(error: unknown, io: Io): number {
  if (error instanceof CommanderError) return error.exitCode
  if (!(error instanceof TokenmillError)) throw error
  io.stderr.write(`tokenmill: ${error.message}\n`)
  return error.code === 'startup' ? 78 : 1
}
