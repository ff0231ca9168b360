import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** Environment variable that every process of a run inherits; its value is the run's folder. */
export const runVariable = 'TOKENMILL_RUN'

export interface RunGuard {
  /** Where everything of the run is written that asks for the system's temporary folder. */
  readonly folder: string
  /** Descriptions of processes that no one ended, other than this process's own children. */
  leftBehind(): Promise<readonly string[]>
}

/**
 * Whatever tests and benchmarks start and write ends with them, also where they fail, are interrupted or are killed: a
 * watcher in a process group of its own waits for this process's end, then ends every process that carries the run's
 * mark (Linux) and removes the run's folder. The environment is this process's own: it gets the mark and the folder.
 */
export function guardRun(environment: NodeJS.ProcessEnv): RunGuard {
  const system = tmpdir()
  const folder = mkdtempSync(path.join(system, 'tokenmill-run-'))
  // Compiled code is the same for every run: without it each process of a test would start twice as slowly.
  environment['NODE_COMPILE_CACHE'] ??= path.join(system, 'node-compile-cache')
  for (const name of ['TMPDIR', 'TMP', 'TEMP']) environment[name] = folder
  const watcher = spawn(process.execPath, [path.join(import.meta.dirname, 'run-watcher.ts'), folder], {
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  environment[runVariable] = folder
  watcher.unref()
  const pipes = [watcher.stdin, watcher.stdout] as unknown as readonly Pick<Socket, 'ref' | 'unref'>[]
  for (const pipe of pipes) pipe.unref()
  return {
    folder,
    async leftBehind() {
      for (const pipe of pipes) pipe.ref()
      watcher.stdin.write(`${process.pid}\n`)
      const [answer] = (await once(watcher.stdout, 'data')) as [Buffer]
      for (const pipe of pipes) pipe.unref()
      return JSON.parse(answer.toString()) as string[]
    },
  }
}
