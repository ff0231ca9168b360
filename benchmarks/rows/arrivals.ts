import path from 'node:path'
import { startLlamaServer, startTokenmill, type RunningServer } from '../contenders/server.ts'
import { streamCompletion, type StreamResult } from '../measure/http-stream.ts'
import { createPrompts } from '../measure/prompts.ts'
import type { Run } from '../measure/run.ts'
import { gapsOf, median, quantile, show } from '../measure/statistics.ts'

const streams = 16
const arrivalEveryMs = 2000

interface Point {
  /** Gaps between texts of the running streams, without arrivals and while they come. */
  readonly calmP50Ms: number
  readonly calmP99Ms: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly gaps: number
  /** Of the 512-token prompts, each until its only token. */
  readonly arrivalsMs: readonly number[]
}

/** 16 running streams, and every 2 s a prompt of 512 tokens that wants one token: who waits for whom? */
export async function arrivals(run: Run): Promise<void> {
  const slots = streams + 2
  const job = { model: run.model.path, slots, slotTokens: 2048, threads: run.threads }
  const contenders: [string, () => Promise<RunningServer>][] = [
    ['tokenmill, default target', () => startTokenmill(job)],
    ...[50, 100, 200].map((target): [string, () => Promise<RunningServer>] => [
      `tokenmill, ${target} ms a step`,
      () => startTokenmill({ ...job, flags: ['--step-target-ms', String(target)] }),
    ]),
  ]
  const { llamaServer } = run
  if (llamaServer !== undefined) contenders.push(['llama-server', () => startLlamaServer(llamaServer, job)])
  for (const [name, start] of contenders) {
    const points: Point[] = []
    for (let repeat = 0; repeat < (run.isQuick ? 1 : Math.min(2, run.repeats)); repeat += 1) {
      points.push(await measure(start, run, run.seed + 1000 * repeat))
      run.log(
        `arrivals, ${name}: ${JSON.stringify({ ...points.at(-1), arrivalsMs: points.at(-1)?.arrivalsMs.map(Math.round) })}`,
      )
    }
    const of = (pick: (point: Point) => number) => median(points.map(pick))
    const ratio = of((point) => point.p99Ms / point.calmP50Ms)
    const worst = Math.max(...points.flatMap((point) => point.arrivalsMs))
    const isDefault = name.includes('default')
    run.report({
      row: '16 streams, a 512-token prompt every 2 s',
      what: name,
      value:
        `ITL p99 ${show(of((point) => point.p99Ms))} ms = ${show(ratio)} × calm p50 ${show(of((point) => point.calmP50Ms))} ms; ` +
        `arrival TTFT p50 ${show(of((point) => median(point.arrivalsMs)))}, max ${show(worst)} ms`,
      asked: isDefault ? '≤ 2.5 ×, arrivals < 2000 ms' : '',
      met: isDefault ? ratio <= 2.5 && worst < arrivalEveryMs : undefined,
      data: points,
    })
  }
}

async function measure(start: () => Promise<RunningServer>, run: Run, seed: number): Promise<Point> {
  const server = await start()
  const done = new AbortController()
  try {
    const plan = { vocabulary: run.model.vocabulary, shared: 0 }
    const body = (prompt: readonly number[], maxTokens: number) => ({
      model: path.basename(run.model.path, '.gguf'),
      prompt,
      max_tokens: maxTokens,
      temperature: 0,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    })
    const texts: number[][] = []
    const running = createPrompts({ ...plan, count: streams, tokens: 32, seed }).map((prompt, index) => {
      const times: number[] = []
      texts[index] = times
      const onText = () => times.push(performance.now())
      return streamCompletion({ port: server.port, body: body(prompt, 1900), onText, signal: done.signal })
    })
    const failed = Promise.all(running).then(() => {
      if (!done.signal.aborted) throw new Error('The running streams ended before the arrivals did.')
    })
    const all = Promise.race([failed, script(server, body, plan, run, seed, texts)])
    const point = await all
    done.abort()
    await failed
    if (point === undefined) throw new Error('Measured nothing.')
    return point
  } finally {
    done.abort()
    await server.stop()
  }
}

async function script(
  server: RunningServer,
  body: (prompt: readonly number[], maxTokens: number) => object,
  plan: { vocabulary: number; shared: number },
  run: Run,
  seed: number,
  texts: readonly (readonly number[])[],
): Promise<Point> {
  const count = run.isQuick ? 4 : 8
  while (texts.some((times) => times.length < 2)) await delay(10)
  const calmFromMs = performance.now() + 500
  await delay(run.isQuick ? 3000 : 5500)
  const busyFromMs = performance.now()
  const prompts = createPrompts({ ...plan, count, tokens: 512, seed: seed + 77 })
  const answers: Promise<StreamResult>[] = []
  for (const [index, prompt] of prompts.entries()) {
    await delay(busyFromMs + index * arrivalEveryMs - performance.now())
    answers.push(streamCompletion({ port: server.port, body: body(prompt, 1) }))
  }
  const arrived = await Promise.all(answers)
  await delay(busyFromMs + count * arrivalEveryMs - performance.now())
  const busyUntilMs = performance.now()
  const within = (fromMs: number, untilMs: number) =>
    texts.flatMap((times) => gapsOf(times.filter((time) => time >= fromMs && time < untilMs)))
  const calm = within(calmFromMs, busyFromMs)
  const busy = within(busyFromMs, busyUntilMs)
  return {
    calmP50Ms: median(calm),
    calmP99Ms: quantile(calm, 0.99),
    p50Ms: median(busy),
    p99Ms: quantile(busy, 0.99),
    gaps: busy.length,
    arrivalsMs: arrived.map((answer) => answer.endMs - answer.sentMs),
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))
}
