import type { Sampler } from '../backend.ts'
import type { Pointer } from './abi.ts'
import { call } from './llama-model.ts'
import type { SamplerPlace } from './sampler-place.ts'

/** The native parts of a draw. */
export interface DrawChains {
  /** Biases and penalties; null where the logits are taken as they are. It has to see each token that is drawn. */
  readonly changing: Pointer
  /** What cuts the tail, and draws. */
  readonly drawing: Pointer
  readonly temperature: number
}

/** Draws the tokens of one sequence, in two steps for those who have a word between them. It owns its chains until `free`. */
export class RowDraw implements Sampler {
  readonly temperature: number
  readonly #place: SamplerPlace
  readonly #chains: DrawChains

  constructor(place: SamplerPlace, chains: DrawChains) {
    this.#place = place
    this.#chains = chains
    this.temperature = chains.temperature
  }

  sample(row: number): number {
    this.take(row)
    const token = this.draw()
    this.accept(token)
    return token
  }

  /** Takes a row, and gives its logits with biases and penalties in them. Valid until the next row is taken. */
  take(row: number): Float32Array {
    const { rowSampler } = this.#place
    const logits = this.#place.logits(row)
    const { changing } = this.#chains
    const effective = changing === null ? logits : rowSampler.changed(changing, logits)
    rowSampler.take(effective)
    return effective
  }

  /** Draws from the row that was taken. */
  draw(): number {
    return this.drawAmong(this.#place.rowSampler.collect(this.temperature))
  }

  /** Draws among the first `size` candidates. */
  drawAmong(size: number): number {
    const { candidates } = this.#place.rowSampler
    candidates.apply(this.#chains.drawing, size)
    return candidates.selected()
  }

  /** The token that follows, whoever drew it. */
  accept(token: number): void {
    const { changing } = this.#chains
    if (changing !== null) call(this.#place.model.library.llama['llama_sampler_accept'], changing, token)
  }

  free(): void {
    const { llama } = this.#place.model.library
    for (const chain of [this.#chains.changing, this.#chains.drawing]) {
      if (chain !== null) call(llama['llama_sampler_free'], chain)
    }
  }
}
