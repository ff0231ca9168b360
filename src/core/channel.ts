/**
 * From a producer that pushes to one reader that pulls:
 *
 *   push(value) ──▶ [ v v v v │ … ] ──▶ for await (const value of channel)
 *                    highWater ┘ past it the producer is paused, and resumed once the reader has taken everything
 *
 * The channel never refuses a value: `highWater` bounds it as far as the producer keeps to its pause. A producer that
 * cannot pause says in its own comment what bounds it, and gives `Infinity`.
 */
export class Channel<T> implements AsyncIterable<T> {
  readonly #highWater: number
  #values: T[] = []
  #next = 0
  #ended = false
  #error: Error | undefined
  #wake: (() => void) | undefined
  #pausable: Pausable | undefined
  #paused = false

  constructor(highWater: number) {
    this.#highWater = highWater
  }

  /** The producer to pause while the reader is behind. */
  attach(producer: Pausable): void {
    this.#pausable = producer
  }

  /** Hands a value over. After the end it is dropped. */
  push(value: T): void {
    if (this.#ended) return
    this.#values.push(value)
    if (!this.#paused && this.#values.length - this.#next > this.#highWater) {
      this.#paused = true
      this.#pausable?.pause()
    }
    this.#wake?.()
  }

  /** Nothing follows. The reader gets what is there, then the error if one is given. The first end counts. */
  end(error?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#wake?.()
  }

  /** The reader gets `error` now; values it has not taken are dropped. */
  fail(error: Error): void {
    if (this.#ended) return
    this.#values = []
    this.#next = 0
    this.end(error)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      while (this.#next < this.#values.length) {
        const value = this.#values[this.#next] as T
        this.#next += 1
        yield value
      }
      this.#values = []
      this.#next = 0
      if (this.#ended) {
        if (this.#error !== undefined) throw this.#error
        return
      }
      if (this.#paused) {
        this.#paused = false
        this.#pausable?.resume()
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }
}

/** What can be told to wait: an upstream's socket, usually. */
export interface Pausable {
  pause(): void
  resume(): void
}
