import type { GenerationEvent } from '../inference/index.ts'

/**
 * Turns a producer that runs by itself into events that a reader pulls: one at a time, each waits until it is taken.
 *
 *   producer: await put(event) ──▶ [one place] ──▶ reader: for await
 */
export class EventPipe {
  #event: GenerationEvent | undefined
  #taken: (() => void) | undefined
  #wake: (() => void) | undefined
  #left = false

  /** Resolves once the reader has taken the event, or has left. */
  put(event: GenerationEvent): Promise<void> {
    if (this.#left) return Promise.resolve()
    this.#event = event
    this.#wake?.()
    return new Promise((resolve) => {
      this.#taken = resolve
    })
  }

  /** Reads until `work` has ended; throws what it throws. Whoever leaves early has to end the work. */
  async *read(work: Promise<void>): AsyncGenerator<GenerationEvent, void, undefined> {
    let ended = false
    const wakeAtEnd = (): void => {
      ended = true
      this.#wake?.()
    }
    work.then(wakeAtEnd, wakeAtEnd)
    try {
      for (;;) {
        const event = this.#event
        if (event !== undefined) {
          this.#event = undefined
          yield event
          this.#release()
        } else if (ended) {
          await work
          return
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
        }
      }
    } finally {
      this.#left = true
      this.#release()
    }
  }

  #release(): void {
    const taken = this.#taken
    this.#taken = undefined
    taken?.()
  }
}
