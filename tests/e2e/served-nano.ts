import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'

const repository = path.resolve(import.meta.dirname, '../..')

/** `tokenmill serve` as a user starts it, with the model in the box, on a free port. */
export interface ServedNano {
  readonly url: string
  stop(): Promise<void>
}

export async function serveNano(...flags: readonly string[]): Promise<ServedNano> {
  const child = spawn(process.execPath, ['src/cli/main.ts', 'serve', '--port', '0', ...flags], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const complaints: string[] = []
  child.stderr.on('data', (chunk: Buffer) => complaints.push(chunk.toString()))
  const url = await firstUrl(child, complaints)
  return {
    url,
    async stop() {
      if (child.exitCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}

async function firstUrl(child: ChildProcess, complaints: readonly string[]): Promise<string> {
  if (child.stdout === null) throw new Error('no stdout')
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/[\d.]+:\d+/.exec(line)?.[0]
    if (url !== undefined) return url
  }
  throw new Error(`tokenmill serve ended: ${complaints.join('')}`)
}
