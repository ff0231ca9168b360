import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

/** A process that this program started, and ends. */
export class Child {
  readonly process: ChildProcess
  readonly #closed: Promise<number | null>
  #output = ''

  constructor(command: string, parameters: readonly string[]) {
    this.process = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.process.stdout?.on('data', (bytes: Buffer) => this.#keep(bytes))
    this.process.stderr?.on('data', (bytes: Buffer) => this.#keep(bytes))
    this.#closed = new Promise((resolve, reject) => {
      this.process.once('error', reject)
      this.process.once('close', resolve)
    })
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  get isAlive(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null
  }

  /** The last 128 KiB of what it printed. */
  get output(): string {
    return this.#output
  }

  /** Its output, once it has ended of itself; fails on a non-zero exit. */
  async finished(): Promise<string> {
    const code = await this.#closed
    if (code !== 0) throw new Error(`Exit ${String(code)}: ${this.#output.slice(-2000)}`)
    return this.#output
  }

  /** Asks it to end, and insists after five seconds. */
  async stop(): Promise<void> {
    if (this.isAlive) this.process.kill('SIGTERM')
    const insist = setTimeout(() => this.process.kill('SIGKILL'), 5000)
    await this.#closed
    clearTimeout(insist)
  }

  #keep(bytes: Buffer): void {
    this.#output = (this.#output + bytes.toString()).slice(-131_072)
  }
}

/** Resident memory of a process in bytes; Linux. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1] ?? NaN) * 1024
}

/** CPU seconds that a process has used, user and system; Linux. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  const ticksPerSecond = 100
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
