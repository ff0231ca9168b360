import koffi from 'koffi'
import { GrammarError, type GrammarSpec, type Sampler, type SamplerSpec } from '../backend.ts'
import type { Pointer } from './abi.ts'
import { call, type LlamaModel } from './llama-model.ts'

export interface SamplerPlace {
  readonly model: LlamaModel
  readonly context: Pointer
  /** Most tokens of one sequence: how far back penalties look. */
  readonly sequenceCells: number
  /** Where a request sets no top_k, only this many most likely tokens are candidates; 0: all. */
  readonly candidates: number
  logits(row: number): Float32Array
}

/** libllama's own sampler chain for one sequence. It owns the native objects until `free`. */
export function createSampler(place: SamplerPlace, spec: SamplerSpec): Sampler {
  const chain = createChain(place, spec)
  const { llama } = place.model.library
  const sample = llama['llama_sampler_sample'] as (chain: Pointer, context: Pointer, row: number) => number
  if (spec.grammar === undefined) {
    return {
      sample: (row) => sample(chain, place.context, row),
      free: () => call(llama['llama_sampler_free'], chain),
    }
  }
  return new GrammarSampler(place, chain, createGrammar(place.model, spec.grammar))
}

/**
 * The order is that of OpenAI's and vLLM's parameters: bias and penalties, then temperature, then what cuts the tail.
 * The cut to the most likely candidates comes before all that needs an exponential per candidate: over 128,000
 * candidates those cost 3 to 12 ms a token, over a thousand nothing.
 */
function createChain(place: SamplerPlace, spec: SamplerSpec): Pointer {
  const { model } = place
  const { llama } = model.library
  const chain = call(llama['llama_sampler_chain_init'], { no_perf: true }) as Pointer
  const add = (name: string, ...parameters: unknown[]) => {
    const sampler = call(llama[`llama_sampler_init_${name}`], ...parameters) as Pointer
    call(llama['llama_sampler_chain_add'], chain, sampler)
    return sampler
  }
  const vocabulary = model.facts.vocabularySize
  if (spec.logitBias.length > 0) {
    const entries = spec.logitBias.filter(([token]) => token >= 0 && token < vocabulary)
    add('logit_bias', vocabulary, entries.length, encodeBiases(entries))
  }
  const window = place.sequenceCells
  if (spec.presencePenalty !== 0 || spec.frequencyPenalty !== 0) {
    add('penalties', vocabulary, window, 1, spec.frequencyPenalty, spec.presencePenalty)
  }
  if (spec.repetitionPenalty !== 1) {
    const penalty = add('penalties', vocabulary, window, spec.repetitionPenalty, 0, 0)
    for (const token of spec.prompt) call(llama['llama_sampler_accept'], penalty, token)
  }
  if (spec.temperature <= 0) {
    add('greedy')
    return chain
  }
  const topK = spec.topK > 0 ? spec.topK : place.candidates
  if (topK > 0) add('top_k', topK)
  if (spec.temperature !== 1) add('temp', spec.temperature)
  if (spec.minP > 0) add('min_p', spec.minP, 1)
  if (spec.topP < 1) add('top_p', spec.topP, 1)
  add('dist', spec.seed)
  return chain
}

/** `llama_logit_bias[]`: int32 token, float bias. */
function encodeBiases(entries: SamplerSpec['logitBias']): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(Math.max(8, entries.length * 8)))
  for (const [at, [token, bias]] of entries.entries()) {
    bytes.setInt32(at * 8, token, true)
    bytes.setFloat32(at * 8 + 4, bias, true)
  }
  return new Uint8Array(bytes.buffer)
}

function createGrammar(model: LlamaModel, spec: GrammarSpec): Pointer {
  const { llama } = model.library
  const patterns = spec.lazyPatterns
  const grammar = (
    patterns === undefined
      ? call(llama['llama_sampler_init_grammar'], model.vocabulary, spec.gbnf, spec.root)
      : call(
          llama['llama_sampler_init_grammar_lazy_patterns'],
          model.vocabulary,
          spec.gbnf,
          spec.root,
          patterns,
          patterns.length,
          null,
          0,
        )
  ) as Pointer
  if (grammar === null) throw new GrammarError(`libllama cannot parse the grammar, or it has no rule '${spec.root}'.`)
  return grammar
}

/** Bytes of `llama_token_data`: int32 id, float logit, float p. */
const candidateBytes = 12

/**
 * A chain with a grammar. Testing the whole vocabulary against a grammar costs 10 to 20 ms a token, testing one token
 * 0.04 ms: so the chain draws first, and only a token that the grammar forbids makes it draw again among those that
 * fit. Both then accept the token; accepting one that the grammar forbids would end the process, so it is tested first.
 *
 *   candidates   id logit p │ id logit p │ …        one per token of the vocabulary
 *   array        data* size selected sorted         32 bytes, read back after each sampler
 */
class GrammarSampler implements Sampler {
  readonly #place: SamplerPlace
  readonly #chain: Pointer
  readonly #grammar: Pointer
  readonly #candidates: Pointer
  readonly #ids: Int32Array
  readonly #logits: Float32Array
  readonly #array: Pointer
  readonly #arrayView: DataView

  constructor(place: SamplerPlace, chain: Pointer, grammar: Pointer) {
    this.#place = place
    this.#chain = chain
    this.#grammar = grammar
    const bytes = place.model.facts.vocabularySize * candidateBytes
    this.#candidates = koffi.alloc('uint8_t', bytes) as Pointer
    const view = koffi.view(this.#candidates, bytes)
    this.#ids = new Int32Array(view)
    this.#logits = new Float32Array(view)
    this.#array = koffi.alloc('llama_token_data_array', 1) as Pointer
    this.#arrayView = new DataView(koffi.view(this.#array, koffi.sizeof('llama_token_data_array')))
  }

  sample(row: number): number {
    const logits = this.#place.logits(row)
    this.#fill(logits)
    let token = this.#draw()
    if (!this.#allows(token)) {
      this.#fill(logits)
      this.#apply(this.#grammar)
      token = this.#draw()
      if (!this.#allows(token))
        throw new GrammarError('No token of the vocabulary continues the text as the grammar demands.')
    }
    const { llama } = this.#place.model.library
    call(llama['llama_sampler_accept'], this.#grammar, token)
    call(llama['llama_sampler_accept'], this.#chain, token)
    return token
  }

  free(): void {
    const { llama } = this.#place.model.library
    call(llama['llama_sampler_free'], this.#chain)
    call(llama['llama_sampler_free'], this.#grammar)
    koffi.free(this.#candidates)
    koffi.free(this.#array)
  }

  #fill(logits: Float32Array): void {
    for (let id = 0; id < logits.length; id += 1) {
      this.#ids[id * 3] = id
      this.#logits[id * 3 + 1] = logits[id] as number
      this.#logits[id * 3 + 2] = 0
    }
    this.#setArray(logits.length)
  }

  #setArray(size: number): void {
    this.#arrayView.setBigUint64(0, this.#candidates ?? 0n, true)
    this.#arrayView.setBigUint64(8, BigInt(size), true)
    this.#arrayView.setBigInt64(16, -1n, true)
    this.#arrayView.setUint8(24, 0)
  }

  #apply(sampler: Pointer): void {
    call(this.#place.model.library.llama['llama_sampler_apply'], sampler, this.#array)
  }

  /** Runs the chain over the candidates; a sampler may have moved them to an array of its own. */
  #draw(): number {
    this.#apply(this.#chain)
    const data = this.#arrayView.getBigUint64(0, true)
    const selected = this.#arrayView.getBigInt64(16, true)
    return koffi.decode.int32(data + selected * BigInt(candidateBytes))
  }

  #allows(token: number): boolean {
    this.#ids[0] = token
    this.#logits[1] = 1
    this.#setArray(1)
    this.#apply(this.#grammar)
    return (this.#logits[1] ?? -Infinity) > -Infinity
  }
}
