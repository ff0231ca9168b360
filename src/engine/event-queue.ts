/**
 * Hands values from whoever has them to one `for await` loop. Unbounded by itself: what one request can generate is
 * bounded by its context, and that is the most that waits here for a slow reader.
 */
export class EventQueue<T> implements AsyncIterable<T> {
  #values: T[] = []
  #next = 0
  #ended = false
  #error: Error | undefined
  #wake: (() => void) | undefined

  push(value: T): void {
    if (this.#ended) return
    this.#values.push(value)
    this.#wake?.()
  }

  /** Nothing follows. What is queued is still delivered. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** The loop throws `error` now; what is queued is dropped. */
  fail(error: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#values = []
    this.#next = 0
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    for (;;) {
      while (this.#next < this.#values.length) {
        const value = this.#values[this.#next] as T
        this.#next += 1
        yield value
      }
      this.#values = []
      this.#next = 0
      if (this.#error !== undefined) throw this.#error
      if (this.#ended) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }
}
