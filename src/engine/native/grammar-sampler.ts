import koffi from 'koffi'
import { GrammarError, type GrammarSpec, type Sampler } from '../backend.ts'
import { TriggerWatch } from '../grammar/index.ts'
import type { Pointer } from './abi.ts'
import { firstBytesOf } from './first-bytes.ts'
import { call, type LlamaModel } from './llama-model.ts'
import { LlamaVocabulary } from './llama-vocabulary.ts'
import type { SamplerPlace } from './sampler-place.ts'

/** Bytes of `llama_token_data`: int32 id, float logit, float p. */
const candidateBytes = 12
/** How many of the likeliest tokens are tried against the grammar before the whole vocabulary is. */
const firstTried = 256

/**
 * A chain with a grammar. Testing the whole vocabulary against a grammar costs 10 to 20 ms a token, testing one token
 * 0.04 ms: so the chain draws first, and only a token that the grammar forbids makes it draw again: among those of the
 * likeliest that fit, or, where none does, of all whose first byte fits. Both then accept the token; accepting one that the grammar forbids
 * would end the process, so it is tested first.
 *
 * With a trigger, the grammar waits until the answer's text reaches it, and is then given the tokens of the text that
 * came with the trigger's end. libllama has triggers of its own; they would end the process where that text does not
 * fit the grammar. Here such an answer goes on without the grammar.
 *
 *   candidates   id logit p │ id logit p │ …        one per token of the vocabulary
 *   array        data* size selected sorted         32 bytes, read back after each sampler
 */
export class GrammarSampler implements Sampler {
  readonly #place: SamplerPlace
  readonly #chain: Pointer
  /** The chain alone, for as long as the grammar waits. */
  readonly #free: Sampler
  readonly #grammar: Pointer
  readonly #vocabulary: LlamaVocabulary
  readonly #watch: TriggerWatch | undefined
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #binding: boolean
  readonly #candidates: Pointer
  readonly #ids: Int32Array
  readonly #logits: Float32Array
  readonly #array: Pointer
  readonly #arrayView: DataView

  /** Owns the chain from here on. Throws GrammarError, with the chain freed, for a grammar that is none. */
  constructor(place: SamplerPlace, chain: Pointer, free: Sampler, spec: GrammarSpec) {
    this.#place = place
    this.#chain = chain
    this.#free = free
    this.#grammar = createGrammar(place.model, spec)
    if (this.#grammar === null) {
      free.free()
      throw new GrammarError(`libllama cannot parse the grammar, or it has no rule '${spec.root}'.`)
    }
    this.#vocabulary = new LlamaVocabulary(place.model)
    this.#watch = spec.trigger && new TriggerWatch(spec.trigger)
    this.#binding = spec.trigger === undefined
    const bytes = place.model.facts.vocabularySize * candidateBytes
    this.#candidates = koffi.alloc('uint8_t', bytes) as Pointer
    const view = koffi.view(this.#candidates, bytes)
    this.#ids = new Int32Array(view)
    this.#logits = new Float32Array(view)
    this.#array = koffi.alloc('llama_token_data_array', 1) as Pointer
    this.#arrayView = new DataView(koffi.view(this.#array, koffi.sizeof('llama_token_data_array')))
  }

  sample(row: number): number {
    if (this.#binding) return this.#sampleBound(row)
    const token = this.#free.sample(row)
    const behind = this.#watch?.push(this.#decoder.decode(this.#vocabulary.piece(token, true), { stream: true }))
    if (behind !== undefined) this.#binding = this.#acceptText(behind)
    return token
  }

  free(): void {
    this.#free.free()
    call(this.#place.model.library.llama['llama_sampler_free'], this.#grammar)
    koffi.free(this.#candidates)
    koffi.free(this.#array)
  }

  #sampleBound(row: number): number {
    const logits = this.#place.logits(row)
    this.#fill(logits)
    let token = this.#draw()
    if (!this.#allows(token)) {
      token = this.#redraw(logits)
      if (!this.#allows(token))
        throw new GrammarError('No token of the vocabulary continues the text as the grammar demands.')
    }
    this.#accept(this.#grammar, token)
    this.#accept(this.#chain, token)
    return token
  }

  /** A draw among the tokens that fit: among the likeliest if one of them does, which is nearly always. */
  #redraw(logits: Float32Array): number {
    const likeliest = indicesOfLargest(logits, firstTried)
    this.#fillWith(likeliest, logits)
    this.#apply(this.#grammar)
    if (!this.#keepAllowed(likeliest.length)) {
      const possible = this.#possible(logits)
      this.#fillWith(possible, logits)
      this.#apply(this.#grammar)
    }
    return this.#draw()
  }

  /** The tokens whose first byte the grammar allows: a few hundred where it demands a bracket, all inside a string. */
  #possible(logits: Float32Array): Int32Array {
    const { singles, groups, unsettled, ends } = firstBytesOf(this.#place.model)
    this.#fillWith(singles, logits)
    this.#apply(this.#grammar)
    const bytes = [...unsettled]
    for (let at = 0; at < singles.length; at += 1) {
      if ((this.#logits[at * 3 + 1] ?? -Infinity) === -Infinity) continue
      const [byte] = this.#vocabulary.piece(this.#ids[at * 3] ?? 0, true)
      if (byte !== undefined) bytes.push(byte)
    }
    const allowed = [ends].concat(bytes.map((byte) => groups[byte] ?? new Int32Array()))
    const tokens = new Int32Array(allowed.reduce((sum, { length }) => sum + length, 0))
    let end = 0
    for (const part of allowed) {
      tokens.set(part, end)
      end += part.length
    }
    return tokens
  }

  /** Moves the candidates that the grammar left to the front. False where it left none. */
  #keepAllowed(size: number): boolean {
    let kept = 0
    for (let at = 0; at < size; at += 1) {
      const logit = this.#logits[at * 3 + 1] ?? -Infinity
      if (logit === -Infinity) continue
      this.#ids[kept * 3] = this.#ids[at * 3] ?? 0
      this.#logits[kept * 3 + 1] = logit
      kept += 1
    }
    this.#setArray(kept)
    return kept > 0
  }

  /** Gives the grammar text that is already generated. False where it does not fit: then the answer stays free. */
  #acceptText(text: string): boolean {
    for (const token of this.#vocabulary.tokenize(text, false, true)) {
      if (!this.#allows(token)) return false
      this.#accept(this.#grammar, token)
    }
    return true
  }

  #fill(logits: Float32Array): void {
    const ids = this.#ids
    const values = this.#logits
    for (let id = 0, at = 0; id < logits.length; id += 1, at += 3) {
      ids[at] = id
      values[at + 1] = logits[id] as number
    }
    this.#setArray(logits.length)
  }

  #fillWith(tokens: Int32Array, logits: Float32Array): void {
    for (let at = 0; at < tokens.length; at += 1) {
      const id = tokens[at] as number
      this.#ids[at * 3] = id
      this.#logits[at * 3 + 1] = logits[id] as number
    }
    this.#setArray(tokens.length)
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

  #accept(sampler: Pointer, token: number): void {
    call(this.#place.model.library.llama['llama_sampler_accept'], sampler, token)
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

function createGrammar(model: LlamaModel, spec: GrammarSpec): Pointer {
  return call(model.library.llama['llama_sampler_init_grammar'], model.vocabulary, spec.gbnf, spec.root) as Pointer
}

/** The indices of the largest values, in no order: a heap of `count`, smallest on top. */
function indicesOfLargest(values: Float32Array, count: number): Int32Array {
  const size = Math.min(count, values.length)
  const heap = new Int32Array(size)
  const sink = (from: number, end: number): void => {
    const moved = heap[from] as number
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= end) break
      if (child + 1 < end && (values[heap[child + 1] as number] as number) < (values[heap[child] as number] as number))
        child += 1
      if ((values[heap[child] as number] as number) >= (values[moved] as number)) break
      heap[at] = heap[child] as number
      at = child
    }
    heap[at] = moved
  }
  for (let at = 0; at < size; at += 1) heap[at] = at
  for (let at = (size >> 1) - 1; at >= 0; at -= 1) sink(at, size)
  for (let at = size; at < values.length; at += 1) {
    if ((values[at] as number) <= (values[heap[0] as number] as number)) continue
    heap[0] = at
    sink(0, size)
  }
  return heap
}
