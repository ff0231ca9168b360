/**
 * A binary heap: the value that comes before all others is first. `push` and `pop` are O(log n), `peek` O(1).
 *
 *   #values: [ first │ 1 │ 2 │ 3 … ]   the children of i are 2i + 1 and 2i + 2
 */
export class Heap<T> {
  readonly #before: (a: T, b: T) => boolean
  #values: T[] = []

  /** `before(a, b)`: a leaves the heap earlier than b. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#values.length
  }

  peek(): T | undefined {
    return this.#values[0]
  }

  push(value: T): void {
    const values = this.#values
    let at = values.length
    values.push(value)
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = values[above] as T
      if (!this.#before(value, parent)) break
      values[at] = parent
      at = above
    }
    values[at] = value
  }

  pop(): T | undefined {
    const first = this.#values[0]
    const last = this.#values.pop()
    if (this.#values.length > 0) {
      this.#values[0] = last as T
      this.#sink(0)
    }
    return first
  }

  /** Brings the first value to its place after its order has changed. */
  settleFirst(): void {
    if (this.#values.length > 1) this.#sink(0)
  }

  /** Drops the values that the predicate refuses. O(n). */
  keep(predicate: (value: T) => boolean): void {
    this.#values = this.#values.filter(predicate)
    for (let at = (this.#values.length >> 1) - 1; at >= 0; at -= 1) this.#sink(at)
  }

  #sink(from: number): void {
    const values = this.#values
    const value = values[from] as T
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= values.length) break
      if (child + 1 < values.length && this.#before(values[child + 1] as T, values[child] as T)) child += 1
      if (!this.#before(values[child] as T, value)) break
      values[at] = values[child] as T
      at = child
    }
    values[at] = value
  }
}
