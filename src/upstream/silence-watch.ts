import type { Clock } from '../core/index.ts'

/**
 * Calls back once when nothing was heard for so long. Hearing costs one reading of the clock: the timer looks only when the
 * limit would be reached and goes on for the rest.
 */
export class SilenceWatch {
  readonly #clock: Clock
  readonly #limitMs: () => number
  readonly #onSilence: (limitMs: number) => void
  #heardMs: number
  #cancel: () => void = () => undefined

  /** `limitMs` is asked at each look, so it may change meanwhile. */
  constructor(clock: Clock, limitMs: () => number, onSilence: (limitMs: number) => void) {
    this.#clock = clock
    this.#limitMs = limitMs
    this.#onSilence = onSilence
    this.#heardMs = clock.now()
    this.#schedule(limitMs())
  }

  heard(): void {
    this.#heardMs = this.#clock.now()
  }

  stop(): void {
    this.#cancel()
  }

  #schedule(delayMs: number): void {
    this.#cancel = this.#clock.schedule(delayMs, () => {
      const limitMs = this.#limitMs()
      const restMs = limitMs - (this.#clock.now() - this.#heardMs)
      if (restMs > 0) this.#schedule(restMs)
      else this.#onSilence(limitMs)
    })
  }
}
