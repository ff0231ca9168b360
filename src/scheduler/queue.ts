import { BoundedQueue, type QueueEntry } from '../core/index.ts'
import type { WorkItem } from './work-item.ts'

/** A request that waits for a place. */
export interface Waiter {
  readonly item: WorkItem
  /** Its place is free: it starts now. */
  readonly start: () => void
}

/**
 * Decides which waiting request starts next. One queue for each model; it never waits and knows no clock. `push` says
 * undefined where the queue is full.
 */
export interface QueuePolicy {
  readonly size: number
  push(waiter: Waiter): QueueEntry<Waiter> | undefined
  /** The one that starts next; it stays in the queue until it is removed. */
  peek(): Waiter | undefined
  remove(entry: QueueEntry<Waiter>): boolean
  shift(): Waiter | undefined
}

/** First come, first served. `maxQueue` is read at each push, so that a new limit acts at once. */
export function createFifoQueue(maxQueue: () => number): QueuePolicy {
  return new BoundedQueue<Waiter>(maxQueue)
}
