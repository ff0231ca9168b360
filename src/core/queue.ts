/**
 * A first-in first-out queue with a capacity; one that can change is given as a function and asked at each push. It never grows past it: `push` says no
 * instead, so that the caller decides what a full queue means. Entries can leave from the middle (a client that went away).
 *
 * Linked entries: push, shift and remove are O(1).
 *
 *   head → [A] ⇄ [B] ⇄ [C] ← tail
 */
export class BoundedQueue<T> implements Iterable<T> {
  readonly #capacity: () => number
  #size = 0
  #head: Entry<T> | undefined
  #tail: Entry<T> | undefined

  constructor(capacity: number | (() => number)) {
    this.#capacity = typeof capacity === 'number' ? () => capacity : capacity
  }

  get size(): number {
    return this.#size
  }

  /** Appends the value. Returns its entry, to be given to `remove`, or undefined when the queue is full. */
  push(value: T): QueueEntry<T> | undefined {
    if (this.#size >= this.#capacity()) return undefined
    const entry: Entry<T> = { value, queued: true, previous: this.#tail, next: undefined }
    if (this.#tail === undefined) this.#head = entry
    else this.#tail.next = entry
    this.#tail = entry
    this.#size += 1
    return entry
  }

  /** Takes the oldest value, or undefined when empty. */
  shift(): T | undefined {
    const entry = this.#head
    if (entry === undefined) return undefined
    this.remove(entry)
    return entry.value
  }

  peek(): T | undefined {
    return this.#head?.value
  }

  /** Takes the entry out wherever it stands. False when it had already left. */
  remove(handle: QueueEntry<T>): boolean {
    const entry = handle as Entry<T>
    if (!entry.queued) return false
    entry.queued = false
    if (entry.previous === undefined) this.#head = entry.next
    else entry.previous.next = entry.next
    if (entry.next === undefined) this.#tail = entry.previous
    else entry.next.previous = entry.previous
    this.#size -= 1
    return true
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let entry = this.#head; entry !== undefined; entry = entry.next) yield entry.value
  }
}

export interface QueueEntry<T> {
  readonly value: T
}

interface Entry<T> extends QueueEntry<T> {
  queued: boolean
  previous: Entry<T> | undefined
  next: Entry<T> | undefined
}
