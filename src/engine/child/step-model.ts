import type { StepBatch, StepModel } from '../../inference/index.ts'

/**
 * How long does a step take? Two lines, learnt while running:
 *
 *   ms = [decoding > 0] (base + perSequence · decoding)  +  [prefill > 0] (chunk + perToken · prefill)
 *
 * `base` and `chunk` are each a pass over the weights, `perSequence` and `perToken` the arithmetic. Attention's share,
 * which grows with the sequences, is followed by forgetting. Steps without prefill teach the first line, steps with it
 * the second: what is left of their time once the first is taken off.
 */
export class LearnedStepModel implements StepModel {
  readonly #decode = new Line({ intercept: 5, slope: 1 }, { intercept: 100, slope: 10 })
  readonly #prefill = new Line({ intercept: 5, slope: 1 }, { intercept: 100, slope: 1 })

  stepMs({ decodeSequences, prefillTokens }: Pick<StepBatch, 'decodeSequences' | 'prefillTokens'>): number {
    const prefillMs = prefillTokens > 0 ? Math.max(leastMs, this.#prefill.at(prefillTokens)) : 0
    return this.#decodeMs(decodeSequences) + prefillMs
  }

  /** Most prefill tokens with which a step stays within `targetMs`; may be zero or negative. */
  prefillWithin(targetMs: number, decoding: number): number {
    const roomMs = targetMs - this.#decodeMs(decoding) - Math.max(0, this.#prefill.intercept)
    return Math.floor(roomMs / Math.max(this.#prefill.slope, 1e-4))
  }

  observe(decoding: number, prefill: number, ms: number): void {
    if (prefill === 0) this.#decode.observe(decoding, ms)
    else this.#prefill.observe(prefill, ms - this.#decodeMs(decoding))
  }

  #decodeMs(decoding: number): number {
    return decoding > 0 ? Math.max(leastMs, this.#decode.at(decoding)) : 0
  }
}

const leastMs = 0.01

/** y = intercept + slope · x by recursive least squares with forgetting (Haykin, Adaptive Filter Theory, ch. 9). */
class Line {
  intercept: number
  slope: number
  /** Covariance [[a, b], [b, c]] of intercept and slope: how far off they may still be. */
  #a: number
  #b = 0
  #c: number
  readonly #mostA: number
  readonly #mostC: number
  #observations = 0

  constructor(initial: { intercept: number; slope: number }, variance: { intercept: number; slope: number }) {
    this.intercept = initial.intercept
    this.slope = initial.slope
    this.#a = this.#mostA = variance.intercept
    this.#c = this.#mostC = variance.slope
  }

  at(x: number): number {
    return this.intercept + this.slope * x
  }

  observe(x: number, y: number): void {
    const expected = this.at(x)
    // A step that the machine stalled says little about the model: once it has learnt, its surprise is capped.
    const most = this.#observations < 4 ? Infinity : Math.max(Math.abs(expected) / 2, leastMs)
    const surprise = Math.max(-most, Math.min(most, y - expected))
    this.#observations += 1
    const [gainA, gainC] = [this.#a + this.#b * x, this.#b + this.#c * x]
    const scale = forgetting + gainA + gainC * x
    this.intercept += (gainA / scale) * surprise
    this.slope += (gainC / scale) * surprise
    const [a, b, c] = [
      this.#a - (gainA * gainA) / scale,
      this.#b - (gainA * gainC) / scale,
      this.#c - (gainC * gainC) / scale,
    ]
    // Where x does not vary for long, forgetting would let one direction's variance grow without end.
    const keep = a / forgetting > this.#mostA || c / forgetting > this.#mostC ? 1 : forgetting
    this.#a = a / keep
    this.#b = b / keep
    this.#c = c / keep
  }
}

/** Weight of an observation against the one after it: half is forgotten after some 35 steps. */
const forgetting = 0.98
