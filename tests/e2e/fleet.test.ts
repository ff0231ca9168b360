import { spawn, type ChildProcess } from 'node:child_process'
import path from 'node:path'
import OpenAI from 'openai'
import { afterAll, describe, expect, it } from 'vitest'

const root = path.resolve(import.meta.dirname, '../..')
const children: ChildProcess[] = []

afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

/** `tokenmill serve` as a user starts it; resolves with its address once it says that it serves. */
async function serve(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [path.join(root, 'src/cli/main.ts'), 'serve', '--port', '0', ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let said = ''
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (piece: Buffer) => (said += piece.toString()))
    child.stdout.on('data', (piece: Buffer) => {
      said += piece.toString()
      const found = /on (http:\/\/\S+)\/v1/.exec(said)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once('exit', (code) => reject(new Error(`tokenmill serve ended with ${String(code)}:\n${said}`)))
  })
  return { child, url, log: () => said }
}

describe('tokenmill serve --config examples/fleet.yaml', () => {
  it(
    'serves on while one of two replicas is killed under load: no client sees an error',
    { timeout: 180_000 },
    async () => {
      // The model in the box, as `tokenmill serve` runs it without any flag.
      const replica = ['--slots', '8']
      const [a, b] = await Promise.all([serve(replica), serve(replica)])
      const gateway = await serve(['--config', 'examples/fleet.yaml', '--log-level', 'warn'], {
        REPLICA_A: a.url,
        REPLICA_B: b.url,
      })
      // No retries of its own: whatever is mended, the gateway mends.
      const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'unused', maxRetries: 0 })
      let stop = false
      let streamed = 0
      let answered = 0
      const worker = async (): Promise<void> => {
        while (!stop) {
          const request = { model: 'chat', prompt: 'Once upon a time', max_tokens: 60, ignore_eos: true }
          const stream = await client.completions.create({ ...request, stream: true })
          let reason: string | null = null
          for await (const chunk of stream) reason = chunk.choices[0]?.finish_reason ?? reason
          expect(reason).toBe('length')
          streamed += 1
          const whole = await client.completions.create(request)
          expect(whole.usage?.completion_tokens).toBe(60)
          answered += 1
        }
      }
      const workers = Array.from({ length: 6 }, worker)
      const failed = Promise.all(workers)
      const progress = async (more: number): Promise<void> => {
        const goal = streamed + more
        while (streamed < goal) await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, 20))])
      }
      await progress(6)
      a.child.kill('SIGKILL')
      await progress(12)
      stop = true
      await failed
      expect(answered).toBeGreaterThan(0)

      const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
      expect(metrics).toContain(
        `tokenmill_endpoint_attempts_total{model_name="chat",endpoint="${a.url}",outcome="failed"}`,
      )
      expect(metrics).toMatch(
        new RegExp(
          `tokenmill_endpoint_attempts_total\\{model_name="chat",endpoint="${b.url}",outcome="completed"\\} \\d+`,
        ),
      )
    },
  )
})
