import koffi from 'koffi'
import type { Pointer } from './abi.ts'
import { call, type LlamaModel } from './llama-model.ts'

/** Bytes of `llama_token_data`: int32 id, float logit, float p. */
const candidateBytes = 12

/**
 * The tokens that are handed to libllama's samplers, in native memory. One for a context: rows are sampled one after
 * the other. It owns the memory until `free`.
 *
 *   candidates   id logit p │ id logit p │ …        room for the whole vocabulary
 *   array        data* size selected sorted         32 bytes, read back after each sampler
 */
export class Candidates {
  readonly #model: LlamaModel
  readonly #candidates: Pointer
  readonly #ids: Int32Array
  readonly #logits: Float32Array
  readonly #array: Pointer
  readonly #arrayView: DataView

  constructor(model: LlamaModel) {
    this.#model = model
    const bytes = model.facts.vocabularySize * candidateBytes
    this.#candidates = koffi.alloc('uint8_t', bytes) as Pointer
    const view = koffi.view(this.#candidates, bytes)
    this.#ids = new Int32Array(view)
    this.#logits = new Float32Array(view)
    this.#array = koffi.alloc('llama_token_data_array', 1) as Pointer
    this.#arrayView = new DataView(koffi.view(this.#array, koffi.sizeof('llama_token_data_array')))
  }

  put(place: number, token: number, logit: number): void {
    this.#ids[place * 3] = token
    this.#logits[place * 3 + 1] = logit
    this.#logits[place * 3 + 2] = 0
  }

  tokenAt(place: number): number {
    return this.#ids[place * 3] as number
  }

  /** −∞ where a grammar has refused the token. */
  logitAt(place: number): number {
    return this.#logits[place * 3 + 1] as number
  }

  /** Gives `size` candidates from place `first` on to a sampler, which may change, sort and drop them. */
  apply(sampler: Pointer, size: number, first = 0): void {
    this.#arrayView.setBigUint64(0, (this.#candidates ?? 0n) + BigInt(first * candidateBytes), true)
    this.#arrayView.setBigUint64(8, BigInt(size), true)
    this.#arrayView.setBigInt64(16, -1n, true)
    this.#arrayView.setUint8(24, 0)
    call(this.#model.library.llama['llama_sampler_apply'], sampler, this.#array)
  }

  /** The token that the chain drew, which was applied last. It may have moved the candidates to an array of its own. */
  selected(): number {
    const data = this.#arrayView.getBigUint64(0, true)
    const selected = this.#arrayView.getBigInt64(16, true)
    return koffi.decode.int32(data + selected * BigInt(candidateBytes))
  }

  /** Keeps the `count` largest of `size` candidates, largest first. Returns how many there are. */
  keepLargest(size: number, count: number): number {
    const kept = Math.min(size, count)
    const order = largestFirst(this.#logits, size, kept)
    const found = Array.from(order, (place) => [this.tokenAt(place), this.logitAt(place)] as const)
    for (const [place, [token, logit]] of found.entries()) this.put(place, token, logit)
    return kept
  }

  free(): void {
    koffi.free(this.#candidates)
    koffi.free(this.#array)
  }
}

/** The places of the largest logits, largest first; equal ones by place: a heap of `count`, the smallest on top. */
function largestFirst(logits: Float32Array, size: number, count: number): Int32Array {
  const heap = new Int32Array(count)
  const logitOf = (place: number) => logits[place * 3 + 1] as number
  const isBelow = (one: number, other: number) =>
    logitOf(one) < logitOf(other) || (logitOf(one) === logitOf(other) && one > other)
  const sink = (from: number, end: number): void => {
    const moved = heap[from] as number
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= end) break
      if (child + 1 < end && isBelow(heap[child + 1] as number, heap[child] as number)) child += 1
      if (!isBelow(heap[child] as number, moved)) break
      heap[at] = heap[child] as number
      at = child
    }
    heap[at] = moved
  }
  for (let at = 0; at < count; at += 1) heap[at] = at
  for (let at = (count >> 1) - 1; at >= 0; at -= 1) sink(at, count)
  for (let place = count; place < size; place += 1) {
    if (!isBelow(heap[0] as number, place)) continue
    heap[0] = place
    sink(0, count)
  }
  // Taking the smallest away again and again leaves the largest first.
  for (let end = count - 1; end > 0; end -= 1) {
    const smallest = heap[0] as number
    heap[0] = heap[end] as number
    sink(0, end)
    heap[end] = smallest
  }
  return heap
}
