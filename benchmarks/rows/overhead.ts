import path from 'node:path'
import type { BareLoopJob, LoopResult } from '../contenders/bare-loop.ts'
import { startTokenmill } from '../contenders/server.ts'
import { Child } from '../measure/child.ts'
import { streamCompletion } from '../measure/http-stream.ts'
import { createPrompts } from '../measure/prompts.ts'
import type { Run } from '../measure/run.ts'
import { median, show, showSpread, spreadOf } from '../measure/statistics.ts'

const promptTokens = 32

/**
 * What the server adds to the time to the first token at idle: one streamed request after another, from the bytes sent to the
 * first text, less what a bare loop takes for as long a prompt and one draw. HTTP, admission, two hops between processes.
 */
export async function overhead(run: Run): Promise<void> {
  const requests = run.isQuick ? 40 : 200
  const added: number[] = []
  const points: { readonly served: number; readonly bare: number }[] = []
  for (let repeat = 0; repeat < run.repeats; repeat += 1) {
    const seed = run.seed + 10_000 * repeat
    const bare = median(await bareLoop(run, requests, seed))
    const served = median(await overHttp(run, requests, seed + 5000))
    points.push({ served, bare })
    added.push(served - bare)
    run.log(`overhead: TTFT ${show(served)} ms over HTTP, ${show(bare)} ms in a bare loop`)
  }
  const spread = spreadOf(added)
  run.report({
    row: 'TTFT at idle, added by the server',
    what: `tokenmill, ${promptTokens} prompt tokens`,
    value: `${showSpread(spread)} ms (TTFT ${show(median(points.map(({ served }) => served)))} ms, bare loop ${show(median(points.map(({ bare }) => bare)))} ms)`,
    asked: '≤ 3 ms',
    met: spread.median <= 3,
    data: points,
  })
}

async function bareLoop(run: Run, repeats: number, seed: number): Promise<number[]> {
  const { path: model, vocabulary } = run.model
  const job: BareLoopJob = {
    model,
    vocabulary,
    streams: 1,
    promptTokens,
    outputTokens: 1,
    sampling: 'greedy',
    seed,
    threads: run.threads,
    repeats,
  }
  const script = path.resolve(import.meta.dirname, '../contenders/bare-loop.ts')
  const child = new Child(process.execPath, [script, JSON.stringify(job)])
  const results = JSON.parse((await child.finished()).trim().split('\n').at(-1) ?? '') as LoopResult[]
  return results.slice(warmUp).map(({ prefillSeconds }) => prefillSeconds * 1000)
}

async function overHttp(run: Run, requests: number, seed: number): Promise<number[]> {
  const server = await startTokenmill({ model: run.model.path, slots: 4, slotTokens: 512, threads: run.threads })
  try {
    const prompts = createPrompts({
      count: requests,
      tokens: promptTokens,
      shared: 0,
      vocabulary: run.model.vocabulary,
      seed,
    })
    const model = path.basename(run.model.path, '.gguf')
    const times: number[] = []
    for (const prompt of prompts) {
      const fixed = { model, prompt, max_tokens: 1, temperature: 0, ignore_eos: true, stream: true }
      const body = { ...fixed, stream_options: { include_usage: true } }
      const { sentMs, textMs } = await streamCompletion({ port: server.port, body })
      times.push((textMs[0] ?? NaN) - sentMs)
    }
    return times.slice(warmUp)
  } finally {
    await server.stop()
  }
}

/** First requests that do not count: code is compiled, caches fill. */
const warmUp = 10
