import path from 'node:path'
import { startTokenmill } from '../contenders/server.ts'
import { residentBytes } from '../measure/child.ts'
import { streamCompletion } from '../measure/http-stream.ts'
import { createPrompts } from '../measure/prompts.ts'
import type { Run } from '../measure/run.ts'
import { show, showSpread, spreadOf } from '../measure/statistics.ts'

/** Time until the first answer from the ready check, and memory of the HTTP process: idle and after many requests. */
export async function footprint(run: Run): Promise<void> {
  const model = run.nano ?? run.model.path
  const job = { model, slots: 16, slotTokens: 512, threads: run.threads }
  const readyMs: number[] = []
  for (let repeat = 0; repeat < run.repeats; repeat += 1) {
    const server = await startTokenmill(job)
    readyMs.push(server.readyMs)
    await server.stop()
  }
  const ready = spreadOf(readyMs)
  const name = path.basename(model)
  run.report({
    row: 'ready after start',
    what: `tokenmill, ${name}`,
    value: `${showSpread(ready)} ms`,
    asked: '≤ 2000 ms',
    met: ready.median <= 2000,
    data: readyMs,
  })

  const requests = run.isQuick ? 1000 : 10_000
  const server = await startTokenmill(job)
  try {
    await new Promise((resolve) => setTimeout(resolve, 2000))
    const idle = residentBytes(server.pid)
    const peak = await load(server.port, path.basename(model, '.gguf'), server.pid, requests)
    await new Promise((resolve) => setTimeout(resolve, 2000))
    const after = residentBytes(server.pid)
    const mb = (bytes: number) => `${show(bytes / 1e6)} MB`
    run.report({
      row: 'memory of the HTTP process',
      what: `tokenmill, ${requests} requests`,
      value: `idle ${mb(idle)}, after ${mb(after)}, peak seen ${mb(peak)}`,
      asked: '< 150 MB',
      met: idle < 150e6 && after < 150e6,
      data: { idle, after, peak },
    })
  } finally {
    await server.stop()
  }
}

/** Short streamed requests, 16 at a time. Returns the most memory seen at every hundredth. */
async function load(port: number, model: string, pid: number, requests: number): Promise<number> {
  const prompts = createPrompts({ count: 64, tokens: 16, shared: 0, vocabulary: 500, seed: 9 })
  let sent = 0
  let peak = 0
  const client = async () => {
    while (sent < requests) {
      sent += 1
      const body = { model, prompt: prompts[sent % 64], max_tokens: 4, ignore_eos: true, temperature: 0, stream: true }
      await streamCompletion({ port, body: { ...body, stream_options: { include_usage: true } } })
      if (sent % 100 === 0) peak = Math.max(peak, residentBytes(pid))
    }
  }
  await Promise.all(Array.from({ length: 16 }, client))
  return peak
}
