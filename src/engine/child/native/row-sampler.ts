import { LogitScan } from '../logit-scan.ts'
import type { Sampler } from '../backend.ts'
import type { Pointer } from './abi.ts'
import { Candidates } from './candidates.ts'
import type { LlamaModel } from './llama-model.ts'

/** Share of all probability that may be left out of a drawing. */
const negligibleShare = 1e-6

/**
 * Finds the tokens of a row that can be drawn. libllama's samplers begin by copying the whole row into 12 bytes a token;
 * here only those tokens are handed over. Biases and penalties alone see all of them.
 *
 * One for all sequences of a context: rows are sampled one after the other. It owns native memory until `free`.
 */
export class RowSampler {
  /** Where draws take place, this sampler's and others'. */
  readonly candidates: Candidates
  readonly #model: LlamaModel
  readonly #logits: (row: number) => Float32Array
  readonly #scan: LogitScan
  #changed: Float32Array | undefined

  constructor(model: LlamaModel, logits: (row: number) => Float32Array) {
    this.#model = model
    this.#logits = logits
    this.#scan = new LogitScan(model.facts.vocabularySize)
    this.candidates = new Candidates(model)
  }

  /** The most likely token, the first of equals. */
  readonly greedy: Sampler = {
    sample: (row) => {
      const scan = this.#scan
      scan.take(this.#logits(row))
      let token = Infinity
      scan.forEachFrom(scan.best(), (other) => {
        if (other < token) token = other
      })
      // A row without any number in it, of a broken model.
      return token === Infinity ? 0 : token
    },
    free: () => {},
  }

  /** Takes a row of logits; `collect` speaks of the last one taken. */
  take(logits: Float32Array): void {
    this.#scan.take(logits)
  }

  /**
   * Makes candidates of the tokens that can be drawn at temperature T, and returns their number. Of V tokens, those with
   * a logit below best − T·ln(V/ε) have less than ε of the probability together: they are left out.
   */
  collect(temperature: number): number {
    const width = temperature * Math.log(this.#model.facts.vocabularySize / negligibleShare)
    let size = 0
    this.#scan.forEachFrom(this.#scan.best() - width, (token, logit) => {
      this.candidates.put(size, token, logit)
      size += 1
    })
    if (size > 0) return size
    // A row without any number in it, of a broken model.
    this.candidates.put(0, 0, 0)
    return 1
  }

  /** The row as the chain changes it, whatever tokens it concerns. Valid until the next call. */
  changed(chain: Pointer, logits: Float32Array): Float32Array {
    const { candidates } = this
    for (let token = 0; token < logits.length; token += 1) candidates.put(token, token, logits[token] as number)
    candidates.apply(chain, logits.length)
    this.#changed ??= new Float32Array(logits.length)
    for (let token = 0; token < logits.length; token += 1) this.#changed[token] = candidates.logitAt(token)
    return this.#changed
  }

  free(): void {
    this.candidates.free()
  }
}
