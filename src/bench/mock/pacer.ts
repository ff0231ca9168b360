import type { Clock, Random } from '../../core/index.ts'
import type { Distribution } from '../../workload/index.ts'

/** A sequence whose tokens become due one after the other. Whoever starts it owns it until `done` or `cancel`. */
export interface PacedSequence {
  readonly promptTokens: number
  /** Of them, those that need no prefill. */
  readonly cachedTokens: number
  readonly outputTokens: number
  /** The request's own generator: its draws do not depend on what runs beside it. */
  readonly random: Random
  /** One token is due now. After the last one (`outputTokens`) the pacer forgets the sequence. */
  onToken(): void
}

/** The model of time: decides when each token of each sequence is due. */
export interface Pacer {
  readonly running: number
  readonly waiting: number
  /** Share of KV cells in use, 0 to 1; undefined where the model has none. */
  readonly kvCacheUsage: number | undefined
  readonly preemptions: number
  /** False when the waiting line is full: the sequence was not taken. */
  start(sequence: PacedSequence): boolean
  cancel(sequence: PacedSequence): void
}

export interface IndependentLatency {
  readonly ttftMs: Distribution
  readonly itlMs: Distribution
  readonly maxRunning: number
  readonly maxQueue: number
}

/** A sequence under way: when its next token is due, and how many are left. */
interface Due {
  readonly sequence: PacedSequence
  dueMs: number
  left: number
  cancelled: boolean
}

/**
 * Sequences that do not feel each other: time to first token and each gap are drawn from two distributions.
 * Each due time is counted from the one before, not from the moment the timer fired, so that late timers do not
 * add up. Beyond `maxRunning`, sequences wait in line; their time to first token starts when they leave it.
 *
 * All sequences share one timer, set to the earliest due time: a thousand streams cost no thousand timers.
 */
export class IndependentPacer implements Pacer {
  readonly #clock: Clock
  readonly #latency: IndependentLatency
  readonly #running = new Map<PacedSequence, Due>()
  /** A binary heap: the earliest is first. Cancelled entries stay until their time comes. */
  readonly #heap: Due[] = []
  readonly #line: PacedSequence[] = []
  #timer: { readonly atMs: number; readonly cancel: () => void } | undefined
  readonly kvCacheUsage = undefined
  readonly preemptions = 0

  constructor(clock: Clock, latency: IndependentLatency) {
    this.#clock = clock
    this.#latency = latency
  }

  get running(): number {
    return this.#running.size
  }

  get waiting(): number {
    return this.#line.length
  }

  start(sequence: PacedSequence): boolean {
    if (this.running < this.#latency.maxRunning) this.#run(sequence)
    else if (this.#line.length < this.#latency.maxQueue) this.#line.push(sequence)
    else return false
    return true
  }

  cancel(sequence: PacedSequence): void {
    const due = this.#running.get(sequence)
    if (due !== undefined) {
      due.cancelled = true
      this.#leave(sequence)
      return
    }
    const at = this.#line.indexOf(sequence)
    if (at >= 0) this.#line.splice(at, 1)
  }

  #run(sequence: PacedSequence): void {
    const dueMs = this.#clock.now() + this.#latency.ttftMs.sample(sequence.random)
    const due = { sequence, dueMs, left: sequence.outputTokens, cancelled: false }
    this.#running.set(sequence, due)
    push(this.#heap, due)
    this.#setTimer()
  }

  #leave(sequence: PacedSequence): void {
    this.#running.delete(sequence)
    const next = this.#line.shift()
    if (next !== undefined) this.#run(next)
  }

  #setTimer(): void {
    const atMs = this.#heap[0]?.dueMs
    if (atMs === undefined || (this.#timer !== undefined && this.#timer.atMs <= atMs)) return
    this.#timer?.cancel()
    const delayMs = Math.max(0, atMs - this.#clock.now())
    const cancel = this.#clock.schedule(delayMs, () => {
      this.#timer = undefined
      this.#emitDue()
      this.#setTimer()
    })
    this.#timer = { atMs, cancel }
  }

  #emitDue(): void {
    const nowMs = this.#clock.now()
    for (let due = this.#heap[0]; due !== undefined && due.dueMs <= nowMs; due = this.#heap[0]) {
      const { sequence } = due
      if (due.cancelled) {
        pop(this.#heap)
        continue
      }
      due.left -= 1
      if (due.left <= 0) {
        pop(this.#heap)
        this.#leave(sequence)
      } else {
        due.dueMs += this.#latency.itlMs.sample(sequence.random)
        sink(this.#heap)
      }
      sequence.onToken()
    }
  }
}

function push(heap: Due[], due: Due): void {
  let at = heap.length
  heap.push(due)
  while (at > 0) {
    const above = (at - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || parent.dueMs <= due.dueMs) break
    heap[at] = parent
    at = above
  }
  heap[at] = due
}

/** Takes the first away. */
function pop(heap: Due[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  heap[0] = last
  sink(heap)
}

/** Brings the first to its place after its time has moved. */
function sink(heap: Due[]): void {
  const due = heap[0]
  if (due === undefined) return
  let at = 0
  for (;;) {
    const [left, right] = [2 * at + 1, 2 * at + 2]
    const leftMs = heap[left]?.dueMs ?? Infinity
    const rightMs = heap[right]?.dueMs ?? Infinity
    const below = rightMs < leftMs ? right : left
    const child = heap[below]
    if (child === undefined || child.dueMs >= due.dueMs) break
    heap[at] = child
    at = below
  }
  heap[at] = due
}
