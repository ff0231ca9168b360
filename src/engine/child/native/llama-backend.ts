import koffi from 'koffi'
import { systemClock, TokenmillError } from '../../../core/index.ts'
import type { Backend, BackendShape, Chunk, Row, Sampler, SamplerSpec } from '../backend.ts'
import { ThreadGovernor } from '../thread-governor.ts'
import { failOnFaults, type Pointer } from './abi.ts'
import { AdapterSwitch, type LlamaAdapter } from './llama-adapter.ts'
import { LlamaBatch } from './llama-batch.ts'
import { call, type LlamaModel } from './llama-model.ts'
import { FirstBytes } from './first-bytes.ts'
import { createSampler } from './llama-sampler.ts'
import { LlamaVocabulary } from './llama-vocabulary.ts'
import { mostPadding, noPadding, padPrompt, padStreams, rowsAtOnce, type Padding } from './row-padding.ts'
import { RowSampler } from './row-sampler.ts'
import { attachThreadpool } from './threadpool.ts'

export interface ContextSpec {
  readonly slots: number
  readonly cells: number
  readonly kvLayout: 'streams' | 'unified'
  readonly kvType: 'f16' | 'q8_0' | 'q4_0'
  readonly flashAttn: 'auto' | 'on' | 'off'
  readonly rowPadding: 'auto' | 'on' | 'off'
  /** Most that compute; fewer do beside a busy neighbour. */
  readonly threads: number
  readonly samplingCandidates: number
}

/** `enum ggml_type`. */
const ggmlTypes = { f16: 1, q8_0: 8, q4_0: 2 } as const
const flashAttnTypes = { auto: -1, off: 0, on: 1 } as const
/** Most tokens of one `llama_decode`. Odd, so that reading it back proves that the field is where the ABI table says. */
const batchTokens = 2037
const ubatchTokens = 512
/** LLAMA_MAX_SEQ of src/llama-cparams.h. */
export const maximumSequences = 256

/** libllama's context behind the loop's Backend. It owns the context and the batch's native arrays until `free`. */
export class LlamaBackend implements Backend {
  readonly shape: BackendShape
  readonly #model: LlamaModel
  readonly #context: Pointer
  readonly #memory: Pointer
  readonly #spec: ContextSpec
  readonly #batch = new LlamaBatch(batchTokens, mostPadding)
  /** Of each chunk of the last pass. */
  readonly #firstRows: number[] = []
  /** Passes are padded to whole groups of rows: see `learnPadding`. */
  #pads = false
  /** Rows of padding before the first one of the last pass's own. */
  #firstRow = 0
  readonly #rows = new Map<Pointer, Float32Array>()
  readonly #vocabulary: LlamaVocabulary
  readonly #firstBytes: FirstBytes
  readonly #rowSampler: RowSampler
  readonly #adapters: AdapterSwitch
  readonly #governor: ThreadGovernor
  #threads: number
  #lastWasSingles = false
  readonly #snapshots = [new Snapshot(), new Snapshot()] as const

  constructor(model: LlamaModel, spec: ContextSpec, adapters: readonly LlamaAdapter[]) {
    this.#model = model
    this.#spec = spec
    this.#context = createContext(model, spec)
    const { llama } = model.library
    this.#memory = call(llama['llama_get_memory'], this.#context) as Pointer
    const cells = Number(call(llama['llama_n_ctx'], this.#context))
    this.shape = {
      streams: Number(call(llama['llama_n_seq_max'], this.#context)),
      sequenceCells: Number(call(llama['llama_n_ctx_seq'], this.#context)),
      cells,
      batchTokens: Number(call(llama['llama_n_batch'], this.#context)),
      vocabulary: model.facts.vocabularySize,
      wantsDenseStreams: spec.kvLayout === 'streams',
      reuse: model.facts.recurrent ? 'whole' : 'any',
    }
    this.#vocabulary = new LlamaVocabulary(model)
    this.#firstBytes = new FirstBytes(model)
    this.#rowSampler = new RowSampler(model, (row) => this.logits(row))
    this.#adapters = new AdapterSwitch(model, this.#context, adapters)
    this.#governor = new ThreadGovernor(spec.threads)
    this.#threads = spec.threads
    attachThreadpool(model.library, this.#context, spec.threads)
  }

  /** Bytes of the vocabulary's longest token. */
  get longestTokenBytes(): number {
    return this.#firstBytes.longest
  }

  decode(chunks: readonly Chunk[], adapter: number): 'computed' | 'full' {
    this.#adapters.use(adapter)
    this.#batch.load(chunks, this.#firstRows)
    this.#forgetSnapshots()
    // One token of each of its sequences, as most steps do.
    const singles = chunks.every(({ count }) => count === 1)
    this.#useThreads(singles ? this.#governor.threads : this.#governor.settledThreads)
    const beganAtMs = systemClock.now()
    const padding = this.#paddingOf(singles)
    const computed = this.#compute(padding, singles) || (padding !== noPadding && this.#compute(noPadding, singles))
    if (!computed) return 'full'
    const nowMs = systemClock.now()
    if (singles) this.#governor.observe(chunks.length, nowMs - beganAtMs, nowMs, this.#lastWasSingles)
    this.#lastWasSingles = singles
    return 'computed'
  }

  /**
   * Finds out whether passes should be padded (row-padding.ts): whether four rows take less time than three. `timePass`
   * computes so many rows of one stream, with all their logits, and returns the milliseconds that it took.
   */
  learnPadding(timePass: (rows: number) => number): void {
    // Of these memories the last tokens cannot be cut off again, or older ones have made room for them.
    if (this.shape.reuse !== 'any' || this.#model.facts.slidingWindow > 0) return
    if (this.#spec.rowPadding !== 'auto') {
      this.#pads = this.#spec.rowPadding === 'on'
      return
    }
    const fastestMs = (rows: number) => Math.min(...Array.from({ length: 3 }, () => timePass(rows)))
    this.#pads = fastestMs(rowsAtOnce - 1) > clearly * fastestMs(rowsAtOnce)
  }

  #paddingOf(singles: boolean): Padding {
    const { rows } = this.#batch
    const { count } = rows
    if (!this.#pads || count + mostPadding > this.shape.batchTokens) return noPadding
    const { streams, sequenceCells, wantsDenseStreams } = this.shape
    const lengths = { streams, sequenceCells, lengthOf: (stream: number) => this.#lastPosition(stream) + 1 }
    if (!singles) return padPrompt(rows, lengths)
    return wantsDenseStreams ? padStreams(rows, lengths) : noPadding
  }

  /** False: no free KV cell for it. */
  #compute({ front, back }: Padding, singles: boolean): boolean {
    const native = this.#batch.native(front, back, singles)
    const code = Number(call(this.#model.library.llama['llama_decode'], this.#context, native))
    if (code === 1) return false
    if (code !== 0) throw new Error(`llama_decode failed with ${code} on a batch of ${this.#batch.rows.count} tokens.`)
    this.#firstRow = front.length
    for (const { stream, position } of [...front, ...back]) this.#remove(stream, position)
    return true
  }

  rowOf(chunk: number, at: number): Row {
    return (this.#firstRows[chunk] as number) + at
  }

  logits(row: Row): Float32Array {
    const address = call(
      this.#model.library.llama['llama_get_logits_ith'],
      this.#context,
      this.#firstRow + row,
    ) as Pointer
    if (address === null) throw new Error(`Row ${row} of the batch has no logits.`)
    let view = this.#rows.get(address)
    if (view === undefined) {
      if (this.#rows.size >= batchTokens) this.#rows.clear()
      view = new Float32Array(koffi.view(address, this.shape.vocabulary * 4))
      this.#rows.set(address, view)
    }
    return view
  }

  createSampler(spec: SamplerSpec): Sampler {
    const { sequenceCells } = this.shape
    const logits = (row: number) => this.logits(row)
    const candidates = this.#spec.samplingCandidates
    const [model, vocabulary, rowSampler] = [this.#model, this.#vocabulary, this.#rowSampler]
    const firstBytes = this.#firstBytes
    return createSampler({ model, vocabulary, firstBytes, rowSampler, sequenceCells, candidates, logits }, spec)
  }

  copy(from: number, to: number, length: number): boolean {
    this.#forgetSnapshots(to)
    if (this.#spec.kvLayout === 'unified' && this.shape.reuse === 'any') {
      this.#remove(to, 0)
      call(this.#model.library.llama['llama_memory_seq_cp'], this.#memory, from, to, 0, length)
      return true
    }
    const snapshot = this.#take(this.#snapshots[0], from)
    return snapshot.length > 0 && this.#put(snapshot, to) && this.#shorten(to, length)
  }

  truncate(stream: number, length: number): boolean {
    this.#forgetSnapshots(stream)
    return this.#shorten(stream, length)
  }

  clear(stream: number): void {
    this.#forgetSnapshots(stream)
    this.#remove(stream, 0)
  }

  swap(one: number, other: number): void {
    const first = this.#take(this.#snapshots[0], one)
    const second = this.#take(this.#snapshots[1], other)
    if (!this.#put(first, other) || !this.#put(second, one))
      throw new Error(`Streams ${one} and ${other} did not swap.`)
    this.#forgetSnapshots()
  }

  isWhole(stream: number): boolean {
    if (this.#model.facts.slidingWindow === 0) return true
    return Number(call(this.#model.library.llama['llama_memory_seq_pos_min'], this.#memory, stream)) === 0
  }

  free(): void {
    this.#rowSampler.free()
    call(this.#model.library.llama['llama_free'], this.#context)
  }

  #useThreads(threads: number): void {
    if (threads === this.#threads) return
    this.#threads = threads
    call(this.#model.library.llama['llama_set_n_threads'], this.#context, threads, threads)
  }

  #shorten(stream: number, length: number): boolean {
    if (this.#lastPosition(stream) < length || this.#remove(stream, length)) return true
    this.#remove(stream, 0)
    return false
  }

  #remove(stream: number, from: number): boolean {
    return call(this.#model.library.llama['llama_memory_seq_rm'], this.#memory, stream, from, -1) as boolean
  }

  #lastPosition(stream: number): number {
    return Number(call(this.#model.library.llama['llama_memory_seq_pos_max'], this.#memory, stream))
  }

  /** The stream's state in host memory. Several copies of one source within a step read it once. */
  #take(snapshot: Snapshot, stream: number): Snapshot {
    if (snapshot.stream === stream) return snapshot
    snapshot.stream = stream
    snapshot.length = 0
    if (this.#lastPosition(stream) < 0) return snapshot
    const { llama } = this.#model.library
    const size = Number(call(llama['llama_state_seq_get_size'], this.#context, stream))
    snapshot.reserve(size)
    snapshot.length = Number(call(llama['llama_state_seq_get_data'], this.#context, snapshot.bytes, size, stream))
    return snapshot
  }

  /** An empty snapshot empties the stream. */
  #put(snapshot: Snapshot, stream: number): boolean {
    this.#remove(stream, 0)
    if (snapshot.length === 0) return true
    const { llama } = this.#model.library
    const read = call(llama['llama_state_seq_set_data'], this.#context, snapshot.bytes, snapshot.length, stream)
    if (Number(read) > 0) return true
    this.#remove(stream, 0)
    return false
  }

  #forgetSnapshots(stream?: number): void {
    for (const snapshot of this.#snapshots) {
      if (stream === undefined || snapshot.stream === stream) snapshot.stream = -1
    }
  }
}

/** Three rows must take this much longer than four: a measurement varies by some percent. */
const clearly = 1.1

/** A stream's state, and room that grows for the next. */
class Snapshot {
  /** −1: none. */
  stream = -1
  length = 0
  bytes: Buffer = Buffer.alloc(0)

  reserve(size: number): void {
    if (this.bytes.length < size) this.bytes = Buffer.allocUnsafeSlow(Math.ceil(size * 1.25))
  }
}

function createContext(model: LlamaModel, spec: ContextSpec): Pointer {
  const { llama, abi } = model.library
  const unified = spec.kvLayout === 'unified'
  const streams = unified ? Math.min(maximumSequences, spec.slots * 4) : spec.slots
  const defaults = call(llama['llama_context_default_params']) as Record<string, unknown>
  const context = call(llama['llama_init_from_model'], model.pointer, {
    ...defaults,
    n_ctx: spec.cells,
    n_batch: batchTokens,
    n_ubatch: ubatchTokens,
    n_seq_max: streams,
    n_threads: spec.threads,
    n_threads_batch: spec.threads,
    flash_attn_type: flashAttnTypes[spec.flashAttn],
    type_k: ggmlTypes[spec.kvType],
    type_v: ggmlTypes[spec.kvType],
    kv_unified: unified,
  }) as Pointer
  if (context === null) {
    throw new TokenmillError(
      'startup',
      `libllama cannot create a context of ${spec.cells} KV cells (${spec.kvType}) for ${spec.slots} slots. Try a smaller --ctx.`,
    )
  }
  // libllama holds a batch to what the context can take.
  const largestBatch = Math.min(batchTokens, Number(call(llama['llama_n_ctx'], context)))
  const expected = {
    llama_n_batch: largestBatch,
    llama_n_ubatch: Math.min(ubatchTokens, largestBatch),
    llama_n_seq_max: streams,
    llama_n_threads: spec.threads,
    llama_n_threads_batch: spec.threads,
  }
  const faults = Object.entries(expected)
    .map(([name, value]) => ({ name, value, actual: Number(call(llama[name], context)) }))
    .filter(({ value, actual }) => actual !== value)
    .map(({ name, value, actual }) => `${name} reads ${actual} after writing ${value}`)
  failOnFaults(abi, faults)
  return context
}
