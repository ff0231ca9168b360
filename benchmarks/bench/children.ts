import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'

export const repository = path.resolve(import.meta.dirname, '../..')

export interface MockProcess {
  readonly url: string
  /** CPU time so far, seconds; undefined where the system does not tell. */
  cpuS(): number | undefined
  close(): Promise<void>
}

/** A mock in a process of its own, as its users run it. */
export async function startMockProcess(args: readonly string[]): Promise<MockProcess> {
  const child = spawn(process.execPath, ['src/cli/main.ts', 'mock', '--port', '0', ...args], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (text: Buffer) => {
      const found = /http:\S+\/v1/.exec(text.toString())
      if (found !== null) resolve(found[0])
    })
    child.once('exit', (code) => reject(new Error(`The mock ended with exit code ${code}.`)))
  })
  return { url, cpuS: () => cpuSecondsOf(child.pid ?? 0), close: () => stop(child) }
}

/** User and system time of Linux's /proc/PID/stat (fields 14 and 15), in ticks of 10 ms. */
function cpuSecondsOf(pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return undefined
  }
}

function stop(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.removeAllListeners('exit')
    child.once('exit', () => resolve())
    child.kill('SIGINT')
  })
}

export interface Finished {
  readonly code: number
  readonly output: string
  /** User and system time of the process and all that it waited for, seconds. */
  readonly cpuS: number
}

/** Runs a command to its end and tells its CPU time, as the shell's `time` sees it. */
export function runTimed(command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  const script = 'TIMEFORMAT="CPU %U %S"; time "$@"'
  const child = spawn('bash', ['-c', script, 'bash', ...command], {
    cwd: repository,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += text.toString()))
  child.stderr.on('data', (text: Buffer) => (output += text.toString()))
  return new Promise((resolve) => {
    child.once('close', (code) => {
      const times = [...output.matchAll(/CPU ([\d.]+) ([\d.]+)/g)].at(-1)
      resolve({ code: code ?? 1, output, cpuS: Number(times?.[1] ?? 0) + Number(times?.[2] ?? 0) })
    })
  })
}

/** `tokenmill bench` with these arguments. */
export function runBenchCommand(args: readonly string[], nodeFlags: readonly string[] = []): Promise<Finished> {
  const program = [process.execPath, ...nodeFlags, 'src/cli/main.ts', 'bench']
  return runTimed([...program, ...args, '--quiet', '--energy', 'none'])
}
