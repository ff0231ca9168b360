/**
 * The yardstick: one loop over `llama_decode`, nothing else. Separate KV streams, dense ascending sequence ids,
 * every prompt prefilled first, then one token of each sequence a step. Runs alone in its process and prints JSON.
 *
 *   node bare-loop.ts '{"model":…,"streams":8,"promptTokens":128,"outputTokens":128,"threads":2,"sampling":"greedy","seed":1}'
 */
import koffi from 'koffi'
import { createPrompts } from '../measure/prompts.ts'
import { loadLibllama } from './libllama.ts'

export interface BareLoopJob {
  readonly model: string
  readonly vocabulary: number
  readonly streams: number
  readonly promptTokens: number
  readonly outputTokens: number
  readonly threads: number
  readonly sampling: 'greedy' | 'nucleus'
  readonly seed: number
  readonly repeats: number
}

export interface LoopResult {
  /** Until every stream has its first token. */
  readonly prefillSeconds: number
  readonly decodeSeconds: number
  /** Of all streams. */
  readonly outputTokens: number
}

const job = JSON.parse(process.argv[2] ?? '') as BareLoopJob
const { streams, promptTokens, outputTokens } = job
const maxBatch = 512
const llama = loadLibllama()

const model = llama.loadModel(job.model, llama.modelDefaults())
const context = llama.createContext(model, {
  ...llama.contextDefaults(),
  n_ctx: streams * Math.ceil((promptTokens + outputTokens) / 256) * 256,
  n_batch: maxBatch,
  n_ubatch: maxBatch,
  n_seq_max: streams,
  n_threads: job.threads,
  n_threads_batch: job.threads,
  kv_unified: false,
})
if (context === null) throw new Error('libllama made no context.')
// The prebuilt packs have no OpenMP: without a pool, threads are made anew for each graph.
const pool = llama.createThreadpool(llama.defaultThreadpool(job.threads))
llama.attachThreadpool(context, pool, pool)

// One flat array for each field; seq_id[i] points at sequence[i].
const token = new Int32Array(maxBatch)
const position = new Int32Array(maxBatch)
const counts = new Int32Array(maxBatch).fill(1)
const sequence = new Int32Array(maxBatch)
const pointers = new BigUint64Array(maxBatch)
const base = koffi.address(sequence)
for (let i = 0; i < maxBatch; i += 1) pointers[i] = base + BigInt(4 * i)
const wanted = new Int8Array(maxBatch)
const batch = { n_tokens: 0, token, embd: null, pos: position, n_seq_id: counts, seq_id: pointers, logits: wanted }

const chains = Array.from({ length: streams }, (_, index) => createChain(job.seed + index))
const results: LoopResult[] = []
for (let repeat = 0; repeat < job.repeats; repeat += 1) results.push(runOnce(job.seed + repeat))
process.stdout.write(`${JSON.stringify(results)}\n`)

function runOnce(seed: number): LoopResult {
  llama.clearMemory(llama.memory(context), true)
  const prompts = createPrompts({ count: streams, tokens: promptTokens, shared: 0, vocabulary: job.vocabulary, seed })
  const current = new Int32Array(streams)
  const startMs = performance.now()
  for (const [index, prompt] of prompts.entries()) {
    for (let from = 0; from < prompt.length; from += maxBatch) {
      const piece = prompt.slice(from, from + maxBatch)
      for (const [i, id] of piece.entries()) {
        token[i] = id
        position[i] = from + i
        sequence[i] = index
        wanted[i] = from + i === prompt.length - 1 ? 1 : 0
      }
      decode(piece.length)
    }
    current[index] = llama.sample(chains[index], context, -1)
  }
  const prefilledMs = performance.now()
  for (let step = 1; step < outputTokens; step += 1) {
    for (let index = 0; index < streams; index += 1) {
      token[index] = current[index] ?? 0
      position[index] = promptTokens + step - 1
      sequence[index] = index
      wanted[index] = 1
    }
    decode(streams)
    for (let index = 0; index < streams; index += 1) current[index] = llama.sample(chains[index], context, index)
  }
  const endMs = performance.now()
  return {
    prefillSeconds: (prefilledMs - startMs) / 1000,
    decodeSeconds: (endMs - prefilledMs) / 1000,
    outputTokens: streams * outputTokens,
  }
}

function decode(tokens: number): void {
  batch.n_tokens = tokens
  const status: unknown = llama.decode(context, batch)
  if (status !== 0) throw new Error(`llama_decode answered ${String(status)}.`)
}

/** Greedy, or temperature 0.8 and top_p 0.95 behind a top_k of 40 as llama.cpp's own tools have it. */
function createChain(seed: number) {
  const chain = llama.createChain({ no_perf: true })
  if (job.sampling === 'greedy') llama.addSampler(chain, llama.greedy())
  else {
    llama.addSampler(chain, llama.topK(40))
    llama.addSampler(chain, llama.topP(0.95, 1))
    llama.addSampler(chain, llama.temperature(0.8))
    llama.addSampler(chain, llama.dist(seed))
  }
  return chain
}
