import path from 'node:path'
import { Child, freePort } from '../measure/child.ts'
import { waitUntilReady } from '../measure/http-stream.ts'

/** A server of OpenAI's completions on a loopback port, started for one measurement. */
export interface RunningServer {
  readonly port: number
  /** The process that answers HTTP. */
  readonly pid: number
  readonly readyMs: number
  stop(): Promise<void>
}

export interface ServerJob {
  readonly model: string
  readonly slots: number
  /** KV cells for each slot, in tokens. */
  readonly slotTokens: number
  readonly threads: number
  /** More flags, for rows that vary one. */
  readonly flags?: readonly string[]
}

const root = path.resolve(import.meta.dirname, '../..')

/** `tokenmill serve` as a user starts it: the model, the slots and the context sized for the load, nothing else. */
export function startTokenmill(job: ServerJob): Promise<RunningServer> {
  const main = path.join(root, 'src/cli/main.ts')
  const sizes = ['--slots', String(job.slots), '--ctx-total', String(job.slots * job.slotTokens)]
  const parameters = ['serve', '--model', job.model, ...sizes, '--threads', String(job.threads), ...(job.flags ?? [])]
  const profile = process.env['BENCH_CPU_PROFILE']
  const node = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  return start(process.execPath, [...node, main, ...parameters], '/v1/health/ready')
}

/** llama-server with its own defaults. */
export function startLlamaServer(binary: string, job: ServerJob): Promise<RunningServer> {
  const sizes = ['-np', String(job.slots), '-c', String(job.slots * job.slotTokens)]
  const parameters = ['-m', job.model, ...sizes, '-t', String(job.threads), '--log-disable', ...(job.flags ?? [])]
  return start(binary, parameters, '/health')
}

async function start(command: string, parameters: readonly string[], readyPath: string): Promise<RunningServer> {
  const port = await freePort()
  const startMs = performance.now()
  const child = new Child(command, [...parameters, '--port', String(port)])
  try {
    await waitUntilReady(port, readyPath, () => child.isAlive)
  } catch (error) {
    await child.stop()
    throw new Error(`${command} ${parameters.join(' ')} did not start: ${child.output}`, { cause: error })
  }
  return { port, pid: child.pid, readyMs: performance.now() - startMs, stop: () => child.stop() }
}
