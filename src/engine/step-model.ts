/**
 * How long does a step take? Learnt while running, by recursive least squares with forgetting
 * (Haykin, Adaptive Filter Theory, ch. 9), over
 *
 *   ms = base + perSequence · decoding + chunk · [prefill > 0] + perToken · prefill
 *
 * `base` and `chunk` are each a pass over the weights, `perSequence` and `perToken` the arithmetic. Attention's share,
 * which grows with the sequences, is followed by forgetting.
 */
export class StepModel {
  #weights: number[]
  readonly #covariance: number[][]
  #observations = 0

  constructor(initial: StepCost = { baseMs: 5, perSequenceMs: 1, chunkMs: 2, perTokenMs: 1 }) {
    this.#weights = [initial.baseMs, initial.perSequenceMs, initial.chunkMs, initial.perTokenMs]
    // How far off the initial guess may be, as variance; tokens come in hundreds, so their cost is known more finely.
    const spread = [100, 10, 100, 1]
    this.#covariance = spread.map((variance, row) => spread.map((_, column) => (row === column ? variance : 0)))
  }

  get cost(): StepCost {
    const [baseMs = 0, perSequenceMs = 0, chunkMs = 0, perTokenMs = 0] = this.#weights
    return { baseMs, perSequenceMs, chunkMs, perTokenMs }
  }

  /** Milliseconds of a step that decodes `decoding` sequences and prefills `prefill` tokens. */
  predictMs(decoding: number, prefill: number): number {
    const { baseMs, perSequenceMs, chunkMs, perTokenMs } = this.cost
    return Math.max(0.01, baseMs + perSequenceMs * decoding + (prefill > 0 ? chunkMs + perTokenMs * prefill : 0))
  }

  /** Most prefill tokens with which a step stays within `targetMs`; may be zero or negative. */
  prefillWithin(targetMs: number, decoding: number): number {
    const { baseMs, perSequenceMs, chunkMs, perTokenMs } = this.cost
    const roomMs = targetMs - baseMs - perSequenceMs * decoding - Math.max(0, chunkMs)
    return Math.floor(roomMs / Math.max(perTokenMs, 1e-4))
  }

  observe(decoding: number, prefill: number, ms: number): void {
    const input = [1, decoding, prefill > 0 ? 1 : 0, prefill]
    const expected = this.predictMs(decoding, prefill)
    // A step that the machine stalled says little about the model: its surprise is capped.
    const surprise = this.#observations < 8 ? ms - expected : Math.min(ms - expected, expected)
    this.#observations += 1
    const gains = this.#covariance.map((row) => dot(row, input))
    const scale = forgetting + dot(gains, input)
    this.#weights = this.#weights.map((weight, at) => weight + ((gains[at] ?? 0) / scale) * surprise)
    for (const [row, values] of this.#covariance.entries()) {
      for (let column = 0; column < values.length; column += 1) {
        const next = ((values[column] ?? 0) - ((gains[row] ?? 0) * (gains[column] ?? 0)) / scale) / forgetting
        values[column] = Math.max(-maximumVariance, Math.min(maximumVariance, next))
      }
    }
  }
}

/** Milliseconds. */
export interface StepCost {
  readonly baseMs: number
  readonly perSequenceMs: number
  readonly chunkMs: number
  readonly perTokenMs: number
}

/** Weight of an observation against the one after it: half is forgotten after about 70 steps. */
const forgetting = 0.99
/** Inputs that do not vary for long (no prefill for minutes) would let the variance grow without end. */
const maximumVariance = 1e4

function dot(one: readonly number[], other: readonly number[]): number {
  let sum = 0
  for (const [at, value] of one.entries()) sum += value * (other[at] ?? 0)
  return sum
}
