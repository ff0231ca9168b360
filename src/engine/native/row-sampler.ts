import koffi from 'koffi'
import { LogitScan } from '../logit-scan.ts'
import type { Sampler } from '../backend.ts'
import type { Pointer } from './abi.ts'
import { call, type LlamaModel } from './llama-model.ts'

/** Bytes of `llama_token_data`: int32 id, float logit, float p. */
const candidateBytes = 12
/** Share of all probability that may be left out of a drawing. */
const negligibleShare = 1e-6

/**
 * Draws from rows of logits as they are: no grammar, bias or penalty in between. libllama's samplers begin by copying
 * the whole row into 12 bytes a token; here only the tokens that can be drawn are handed over.
 *
 * One for all sequences of a context: rows are sampled one after the other. It owns native memory until `free`.
 */
export class RowSampler {
  readonly #model: LlamaModel
  readonly #logits: (row: number) => Float32Array
  readonly #scan: LogitScan
  readonly #candidates: Pointer
  readonly #ids: Int32Array
  readonly #values: Float32Array
  /** data* size selected sorted: 32 bytes, read back after the chain. */
  readonly #array: Pointer
  readonly #arrayView: DataView

  constructor(model: LlamaModel, logits: (row: number) => Float32Array) {
    this.#model = model
    this.#logits = logits
    this.#scan = new LogitScan(model.facts.vocabularySize)
    const bytes = model.facts.vocabularySize * candidateBytes
    this.#candidates = koffi.alloc('uint8_t', bytes) as Pointer
    const view = koffi.view(this.#candidates, bytes)
    this.#ids = new Int32Array(view)
    this.#values = new Float32Array(view)
    this.#array = koffi.alloc('llama_token_data_array', 1) as Pointer
    this.#arrayView = new DataView(koffi.view(this.#array, koffi.sizeof('llama_token_data_array')))
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

  /**
   * Draws by a chain of libllama's, which it owns. Of V tokens, those with a logit below best − T·ln(V/ε) have less
   * than ε of the probability together, at temperature T: the chain does not see them.
   */
  drawing(chain: Pointer, temperature: number): Sampler {
    const { llama } = this.#model.library
    const width = temperature * Math.log(this.#model.facts.vocabularySize / negligibleShare)
    return {
      sample: (row) => {
        this.#scan.take(this.#logits(row))
        const size = this.#collect(this.#scan.best() - width)
        this.#arrayView.setBigUint64(0, this.#candidates ?? 0n, true)
        this.#arrayView.setBigUint64(8, BigInt(size), true)
        this.#arrayView.setBigInt64(16, -1n, true)
        this.#arrayView.setUint8(24, 0)
        call(llama['llama_sampler_apply'], chain, this.#array)
        // A sampler may have moved the candidates to an array of its own.
        const data = this.#arrayView.getBigUint64(0, true)
        const selected = this.#arrayView.getBigInt64(16, true)
        return koffi.decode.int32(data + selected * BigInt(candidateBytes))
      },
      free: () => call(llama['llama_sampler_free'], chain),
    }
  }

  free(): void {
    koffi.free(this.#candidates)
    koffi.free(this.#array)
  }

  #collect(least: number): number {
    const [ids, values] = [this.#ids, this.#values]
    let size = 0
    this.#scan.forEachFrom(least, (token, logit) => {
      ids[size * 3] = token
      values[size * 3 + 1] = logit
      values[size * 3 + 2] = 0
      size += 1
    })
    return size
  }
}
