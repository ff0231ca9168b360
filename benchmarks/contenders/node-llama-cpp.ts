/**
 * node-llama-cpp by its public API: one sequence for each stream, all evaluated at once. Takes the job of
 * bare-loop.ts and prints the same JSON.
 */
import { createPrompts } from '../measure/prompts.ts'
import type { BareLoopJob, LoopResult } from './bare-loop.ts'

/** The part of its types used here, so that the project's type check does not need the package. */
interface NodeLlamaCpp {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<Model> }>
  LlamaLogLevel: { error: string }
}
interface Model {
  createContext(options: object): Promise<{ getSequence(): ContextSequence }>
}
interface ContextSequence {
  evaluate(tokens: readonly number[], options: object): AsyncIterable<number>
  clearHistory(): Promise<void>
}

const job = JSON.parse(process.argv[2] ?? '') as BareLoopJob
const { streams, promptTokens, outputTokens } = job
const packageName: string = 'node-llama-cpp'
const library = (await import(packageName)) as NodeLlamaCpp
const llama = await library.getLlama({
  gpu: false,
  build: 'never',
  logLevel: library.LlamaLogLevel.error,
  maxThreads: job.threads,
})
const model = await llama.loadModel({ modelPath: job.model })
const context = await model.createContext({
  sequences: streams,
  contextSize: Math.ceil((promptTokens + outputTokens + 1) / 256) * 256,
  batchSize: 512,
  threads: job.threads,
})
const sequences = Array.from({ length: streams }, () => context.getSequence())
const results: LoopResult[] = []
for (let repeat = 0; repeat < job.repeats; repeat += 1) results.push(await runOnce(job.seed + repeat))
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0))

async function runOnce(seed: number): Promise<LoopResult> {
  for (const sequence of sequences) await sequence.clearHistory()
  const prompts = createPrompts({ count: streams, tokens: promptTokens, shared: 0, vocabulary: job.vocabulary, seed })
  const startMs = performance.now()
  const firstMs: number[] = []
  await Promise.all(
    sequences.map(async (sequence, index) => {
      let generated = 0
      const sampling = job.sampling === 'greedy' ? { temperature: 0 } : { temperature: 0.8, topP: 0.95 }
      for await (const _ of sequence.evaluate(prompts[index] ?? [], { ...sampling, yieldEogToken: true })) {
        if (generated === 0) firstMs.push(performance.now())
        generated += 1
        if (generated === outputTokens) break
      }
    }),
  )
  const endMs = performance.now()
  const prefilledMs = Math.max(...firstMs)
  return {
    prefillSeconds: (prefilledMs - startMs) / 1000,
    decodeSeconds: (endMs - prefilledMs) / 1000,
    outputTokens: streams * outputTokens,
  }
}
