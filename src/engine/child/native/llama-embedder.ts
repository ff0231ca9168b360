import koffi from 'koffi'
import { TokenmillError } from '../../../core/index.ts'
import type { ModelPurpose } from '../../../model/index.ts'
import type { Pointer } from './abi.ts'
import { AdapterSwitch, type LlamaAdapter } from './llama-adapter.ts'
import { call, type LlamaModel } from './llama-model.ts'

/** `enum llama_pooling_type` of llama.h. */
const poolingTypes = { none: 0, mean: 1, rank: 4 } as const

/** Sequences in one batch. */
const mostSequences = 16

/**
 * Vectors of texts, in a context of its own beside the one that generates: pooled as the model says, or, for a model
 * that generates and says nothing, the mean over its last layer. A reranker's vectors are its classes' scores. Owns the
 * context until `free`.
 *
 * A pooled sequence has to fit into one micro-batch, so the longest input is the batch: `maxTokens`.
 */
export class LlamaEmbedder {
  readonly maxTokens: number
  readonly #model: LlamaModel
  readonly #context: Pointer
  readonly #length: number
  readonly #adapters: AdapterSwitch

  constructor(
    model: LlamaModel,
    purpose: ModelPurpose,
    spec: { readonly threads: number; readonly maxTokens: number },
    adapters: readonly LlamaAdapter[],
  ) {
    const { maxTokens, threads } = spec
    this.#model = model
    this.maxTokens = Math.min(maxTokens, model.facts.trainedContext > 0 ? model.facts.trainedContext : maxTokens)
    const wanted = purpose === 'rank' ? poolingTypes.rank : undefined
    const context = createContext(model, threads, this.maxTokens, wanted)
    const { llama } = model.library
    if (Number(call(llama['llama_pooling_type'], context)) === poolingTypes.none) {
      call(llama['llama_free'], context)
      this.#context = createContext(model, threads, this.maxTokens, poolingTypes.mean)
    } else {
      this.#context = context
    }
    this.#adapters = new AdapterSwitch(model, this.#context, adapters)
    const width = purpose === 'rank' ? 'llama_model_n_cls_out' : 'llama_model_n_embd_out'
    this.#length = Number(call(llama[width], model.pointer))
  }

  /**
   * One vector for each of the first inputs: as many as go into one batch of `mostTokens`, at least one. Each has 1 to
   * `maxTokens` tokens.
   */
  compute(inputs: readonly Int32Array[], adapter: number, mostTokens: number): Float32Array[] {
    this.#adapters.use(adapter)
    const most = Math.min(mostTokens, this.maxTokens)
    let count = 0
    let tokens = 0
    for (const { length } of inputs.slice(0, mostSequences)) {
      if (count > 0 && tokens + length > most) break
      tokens += length
      count += 1
    }
    return this.#computeBatch(inputs.slice(0, count))
  }

  free(): void {
    call(this.#model.library.llama['llama_free'], this.#context)
  }

  #computeBatch(sequences: readonly Int32Array[]): Float32Array[] {
    const { llama } = this.#model.library
    const memory = call(llama['llama_get_memory'], this.#context) as Pointer
    // Encoders keep nothing between batches and have no memory.
    if (memory !== null) call(llama['llama_memory_clear'], memory, false)
    const batch = createBatch(sequences)
    try {
      const code = Number(call(llama['llama_decode'], this.#context, batch.native))
      if (code !== 0) throw new Error(`llama_decode failed with ${code} on ${sequences.length} inputs to embed.`)
    } finally {
      batch.free()
    }
    return sequences.map((_, at) => {
      const address = call(llama['llama_get_embeddings_seq'], this.#context, at) as Pointer
      if (address === null) throw new Error('libllama gives no embedding for a sequence.')
      // A copy: libllama's memory is overwritten by the next batch.
      return new Float32Array(koffi.view(address, this.#length * 4)).slice()
    })
  }
}

function createContext(model: LlamaModel, threads: number, tokens: number, pooling: number | undefined): Pointer {
  const { llama } = model.library
  const defaults = call(llama['llama_context_default_params']) as Record<string, unknown>
  const context = call(llama['llama_init_from_model'], model.pointer, {
    ...defaults,
    n_ctx: tokens,
    n_batch: tokens,
    n_ubatch: tokens,
    n_seq_max: mostSequences,
    n_threads: threads,
    n_threads_batch: threads,
    embeddings: true,
    kv_unified: true,
    ...(pooling !== undefined && { pooling_type: pooling }),
  }) as Pointer
  if (context !== null) return context
  throw new TokenmillError(
    'engine_failed',
    `libllama cannot create a context of ${tokens} tokens for embeddings. Choose a smaller --max-embedding-tokens.`,
  )
}

/** The sequences one behind the other, every token an output, for pooling reads them all. */
function createBatch(sequences: readonly Int32Array[]): { readonly native: Record<string, unknown>; free(): void } {
  const count = sequences.reduce((sum, { length }) => sum + length, 0)
  const pointers: Pointer[] = []
  const alloc = (type: string, bytes: number): { pointer: bigint; view: ArrayBuffer } => {
    const pointer = koffi.alloc(type, count) as bigint
    pointers.push(pointer)
    return { pointer, view: koffi.view(pointer, count * bytes) }
  }
  const [token, position, sequence, ones] = [
    alloc('int32_t', 4),
    alloc('int32_t', 4),
    alloc('int32_t', 4),
    alloc('int32_t', 4),
  ]
  const [sequencePointer, output] = [alloc('uint64_t', 8), alloc('int8_t', 1)]
  new Int32Array(ones.view).fill(1)
  new Int8Array(output.view).fill(1)
  const addresses = new BigUint64Array(sequencePointer.view)
  const [tokens, positions, ids] = [token, position, sequence].map(({ view }) => new Int32Array(view))
  let at = 0
  for (const [id, content] of sequences.entries()) {
    tokens?.set(content, at)
    for (let index = 0; index < content.length; index += 1, at += 1) {
      if (positions !== undefined) positions[at] = index
      if (ids !== undefined) ids[at] = id
      addresses[at] = sequence.pointer + BigInt(at * 4)
    }
  }
  return {
    native: {
      n_tokens: count,
      token: token.pointer,
      embd: null,
      pos: position.pointer,
      n_seq_id: ones.pointer,
      seq_id: sequencePointer.pointer,
      logits: output.pointer,
    },
    free: () => {
      for (const pointer of pointers) koffi.free(pointer)
    },
  }
}
