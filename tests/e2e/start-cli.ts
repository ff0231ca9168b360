import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import OpenAI from 'openai'
import { f32, randomModelShapes, writeRandomModel } from '../../src/model/index.ts'

/** The server as a user starts it: a process of its own, by the command line. */
export interface StartedServer {
  readonly url: string
  readonly child: ChildProcess
  readonly startedAfterMs: number
  /** An official client for it; nothing is retried. */
  readonly client: OpenAI
  /** Everything written so far. */
  output(): string
  /** The text of /metrics. */
  metrics(): Promise<string>
  /** SIGTERM; gives the exit code. */
  stop(): Promise<number | null>
}

/** What `tokenmill` runs. */
export const mainFile = path.resolve(import.meta.dirname, '../../src/cli/main.ts')

/** Starts `tokenmill serve` on a free port and waits until it says that it serves. */
export async function startServe(...flags: readonly string[]): Promise<StartedServer> {
  const sinceMs = performance.now()
  const child = spawn(process.execPath, [mainFile, 'serve', '--port', '0', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const exited = once(child, 'exit')
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      const found = /serves .* on (http:\/\/\S+)\/v1/.exec(text)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once('exit', (code) => reject(new Error(`The server ended with ${code}: ${text}`)))
  })
  return {
    url,
    child,
    startedAfterMs: performance.now() - sinceMs,
    client: new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 }),
    output: () => text,
    metrics: async () => await (await fetch(`${url}/metrics`)).text(),
    async stop() {
      child.kill('SIGTERM')
      await exited
      return child.exitCode
    },
  }
}

/** Runs `tokenmill` to its end. */
export async function runCli(
  ...words: readonly string[]
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, [mainFile, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await once(child, 'close')
  return { code: child.exitCode, output }
}

/** A model of random weights in a folder of its own: fast, and the same on every machine. */
export async function createTinyModel(): Promise<{ readonly file: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-serve-'))
  const file = path.join(folder, 'tiny.gguf')
  await writeRandomModel(file, { shape: randomModelShapes.tiny, seed: 1, format: f32 })
  return { file, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** Process ids of a process's children, from /proc: the engine's process is one. */
export function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => parentOf(each) === pid)
}

function parentOf(pid: number): number | undefined {
  try {
    // The name may hold spaces and parentheses: the fields begin after the last one.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Resolves once the condition holds; the test's own timeout bounds it. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}
