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
    stop: stopOnSignals(process.env['npm_lifecycle_event'] !== undefined),
  }
  let service = false
  handleLostOutput(io, () => service)
  let code = 0
  try {
    const program = toProgram(
      tokenmill,
      io,
      (given) => {
        code = given
      },
      (definition) => {
        service = definition.service === true
      },
    )
    await program.parseAsync([...argv])
  } catch (error) {
    code = exitCodeOf(error, io)
  }
  // A service is over once it has closed: a reader that does not take its last lines must not keep the process.
  if (service) process.exit(code)
  return code
}

/**
 * Without listeners, a full disk or a closed pipe behind stdout or stderr is an uncaught exception. Diagnostics that
 * nobody takes are lost, in every command. A result that nobody takes ends a command: quietly where its reader has seen
 * enough (`tokenmill … | head`), as a failure where it could not be written.
 */
function handleLostOutput(io: Io, isService: () => boolean): void {
  io.stderr.on('error', () => undefined)
  io.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isService()) return
    if (error.code === 'EPIPE') process.exit(0)
    io.stderr.write(`tokenmill: The output cannot be written: ${error.message}\n`)
    process.exit(1)
  })
}

/** How often a process that npm started looks whether its parent lives. */
const parentCheckMs = 250

/** `byNpm`: npm hands signals to the shell that it runs a script in, and that shell ends without handing them on. */
function stopOnSignals(byNpm: boolean): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(128 + constants.signals[name])
      stop.abort(new Error(`Stopped by ${name}.`))
    })
  }
  if (byNpm) {
    const parent = process.ppid
    const timer = setInterval(() => {
      if (process.ppid === parent) return
      clearInterval(timer)
      if (!stop.signal.aborted) stop.abort(new Error('Stopped: npm has ended.'))
    }, parentCheckMs)
    timer.unref()
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
