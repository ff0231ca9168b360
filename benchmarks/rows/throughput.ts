import path from 'node:path'
import type { BareLoopJob, LoopResult } from '../contenders/bare-loop.ts'
import { startLlamaServer, startTokenmill, type RunningServer } from '../contenders/server.ts'
import { Child, cpuSeconds } from '../measure/child.ts'
import { streamCompletion } from '../measure/http-stream.ts'
import { createPrompts } from '../measure/prompts.ts'
import type { Run } from '../measure/run.ts'
import { median, ratiosOf, show, showSpread } from '../measure/statistics.ts'

type Sampling = BareLoopJob['sampling']
export interface Load {
  readonly streams: number
  readonly promptTokens: number
  readonly sharedTokens: number
  readonly outputTokens: number
  readonly sampling: Sampling
  readonly seed: number
}

export interface Throughput {
  /** From the first request sent to the last token. */
  readonly outputTokensPerSecond: number
  /** From the moment all streams have a first token to the end, counting the tokens after that moment. */
  readonly decodeTokensPerSecond: number
  readonly cachedTokens?: number
  /** CPU seconds of the load client and of the server's HTTP process. */
  readonly clientCpuSeconds?: number
  readonly serverCpuSeconds?: number
}

/** Output tokens a second, streaming, at several levels of concurrency: the whole job, prefill included. */
export async function throughput(run: Run): Promise<void> {
  const levels = run.streams ?? (run.isQuick ? [1, 16] : [1, 4, 8, 16])
  for (const sampling of ['greedy', 'nucleus'] as const) {
    for (const streams of levels) await level(run, sampling, streams)
  }
}

async function level(run: Run, sampling: Sampling, streams: number): Promise<void> {
  const contenders: Record<string, (load: Load) => Promise<Throughput>> = {
    tokenmill: (load) => ofServer(() => startTokenmill(serverJob(run, load)), load, run),
    'bare loop': (load) => ofLoop('bare-loop.ts', load, run),
  }
  const { llamaServer } = run
  if (sampling === 'greedy') {
    if (llamaServer !== undefined) {
      contenders['llama-server'] = (load) =>
        ofServer(() => startLlamaServer(llamaServer, serverJob(run, load)), load, run)
    }
    if (streams >= 8) contenders['node-llama-cpp'] = (load) => ofLoop('node-llama-cpp.ts', load, run)
  }
  const results = new Map<string, Throughput[]>(Object.keys(contenders).map((name) => [name, []]))
  for (let repeat = 0; repeat < run.repeats; repeat += 1) {
    const seed = run.seed + 1000 * repeat
    const load = { streams, promptTokens: 128, sharedTokens: 0, outputTokens: 128, sampling, seed }
    const order = Object.entries(contenders)
    // A B C, then C B A: drift of the machine falls on all alike.
    for (const [name, measure] of repeat % 2 === 0 ? order : order.reverse()) {
      const result = await measure(load)
      results.get(name)?.push(result)
      run.log(
        `${sampling} ${streams} streams, ${name}: ${show(result.outputTokensPerSecond)} tok/s, decode ${show(result.decodeTokensPerSecond)}`,
      )
    }
  }
  const whole = (name: string) => (results.get(name) ?? []).map((result) => result.outputTokensPerSecond)
  const decode = (name: string) => (results.get(name) ?? []).map((result) => result.decodeTokensPerSecond)
  const bars: Readonly<Record<string, number>> = {
    'bare loop': sampling === 'greedy' ? 0.95 : 0.9,
    'node-llama-cpp': 2.5,
    'llama-server': 1,
  }
  for (const name of results.keys()) {
    const ratio = ratiosOf(whole('tokenmill'), whole(name))
    const bar = bars[name]
    run.report({
      row: `throughput, ${sampling}, ${streams} streams`,
      what: name,
      value:
        `${show(median(whole(name)))} tok/s (decode ${show(median(decode(name)))})` +
        (bar === undefined
          ? ''
          : `; ratio ${showSpread(ratio)}, decode ${showSpread(ratiosOf(decode('tokenmill'), decode(name)))}`),
      asked: bar === undefined ? '' : `≥ ${bar}`,
      met: bar === undefined ? undefined : ratio.median >= bar,
      data: results.get(name),
    })
  }
}

/** Sized as a user would: a slot for each stream, and room in each for its tokens. */
export function serverJob(run: Run, load: Load) {
  const slotTokens = Math.ceil((load.promptTokens + load.outputTokens + 1) / 256) * 256
  return { model: run.model.path, slots: load.streams, slotTokens, threads: run.threads }
}

export async function ofServer(start: () => Promise<RunningServer>, load: Load, run: Run): Promise<Throughput> {
  const server = await start()
  try {
    const body = (prompt: readonly number[], maxTokens: number) => ({
      model: path.basename(run.model.path, '.gguf'),
      prompt,
      max_tokens: maxTokens,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
      ...(load.sampling === 'greedy' ? { temperature: 0 } : { temperature: 0.8, top_p: 0.95, seed: load.seed }),
    })
    const plan = { tokens: load.promptTokens, vocabulary: run.model.vocabulary, count: load.streams }
    // The same load with other prompts and fewer tokens first: the loops, too, count their second round only.
    const warmUp = createPrompts({ ...plan, shared: 0, seed: load.seed + 500 })
    await Promise.all(warmUp.map((prompt) => streamCompletion({ port: server.port, body: body(prompt, 32) })))

    const prompts = createPrompts({ ...plan, shared: load.sharedTokens, seed: load.seed })
    const clientCpu = process.cpuUsage()
    const serverCpu = cpuSeconds(server.pid)
    const streams = await Promise.all(
      prompts.map((prompt) => streamCompletion({ port: server.port, body: body(prompt, load.outputTokens) })),
    )
    const usedCpu = process.cpuUsage(clientCpu)
    for (const stream of streams) {
      if (stream.completionTokens !== load.outputTokens || stream.promptTokens !== load.promptTokens) {
        throw new Error(
          `Asked for ${load.promptTokens} + ${load.outputTokens} tokens, got ${JSON.stringify({ ...stream, textMs: 0 })}.`,
        )
      }
    }
    const startMs = Math.min(...streams.map((stream) => stream.sentMs))
    const endMs = Math.max(...streams.map((stream) => stream.textMs.at(-1) ?? NaN))
    const allStartedMs = Math.max(...streams.map((stream) => stream.textMs[0] ?? NaN))
    const tokens = load.streams * load.outputTokens
    // Where an event carries several tokens, each event stands for an equal share of its stream's.
    const afterStart = streams.reduce((sum, { textMs, completionTokens }) => {
      return sum + (textMs.filter((time) => time > allStartedMs).length * completionTokens) / textMs.length
    }, 0)
    return {
      outputTokensPerSecond: (tokens / (endMs - startMs)) * 1000,
      decodeTokensPerSecond: (afterStart / (endMs - allStartedMs)) * 1000,
      cachedTokens: streams.reduce((sum, stream) => sum + (stream.cachedTokens ?? 0), 0),
      clientCpuSeconds: (usedCpu.user + usedCpu.system) / 1e6,
      serverCpuSeconds: cpuSeconds(server.pid) - serverCpu,
    }
  } finally {
    await server.stop()
  }
}

async function ofLoop(script: string, load: Load, run: Run): Promise<Throughput> {
  const { streams, promptTokens, outputTokens, sampling, seed } = load
  const { path: model, vocabulary } = run.model
  // Run twice; the second one counts.
  const job: BareLoopJob = {
    model,
    vocabulary,
    streams,
    promptTokens,
    outputTokens,
    sampling,
    seed,
    threads: run.threads,
    repeats: 2,
  }
  const child = new Child(process.execPath, [
    path.resolve(import.meta.dirname, '../contenders', script),
    JSON.stringify(job),
  ])
  const results = JSON.parse((await child.finished()).trim().split('\n').at(-1) ?? '') as LoopResult[]
  const last = results.at(-1) ?? { prefillSeconds: NaN, decodeSeconds: NaN, outputTokens: NaN }
  return {
    outputTokensPerSecond: last.outputTokens / (last.prefillSeconds + last.decodeSeconds),
    decodeTokensPerSecond: (last.outputTokens - streams) / last.decodeSeconds,
  }
}
