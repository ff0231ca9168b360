import { LogHistogram } from '../../workload/index.ts'

/** What happened in one slice of time. */
export interface Slice {
  scheduled: number
  completed: number
  failed: number
  outputTokens: number
  inputTokens: number
  /** Time that requests spent running within the slice, summed: divided by its width, the mean concurrency. */
  runningMs: number
  ttftMs: LogHistogram
  gapMs: LogHistogram
}

/** Slices kept: when a run outgrows them, neighbours are merged and the width doubles. */
const maximumSlices = 400
const firstWidthMs = 50
/** Coarser than the run's own histograms: ±1 %. */
const sliceGrowth = 1.02

/** A run along time, in a bounded number of slices of equal width that doubles as the run grows. */
export class TimeSlices {
  #widthMs = firstWidthMs
  #slices: Slice[] = []

  get widthMs(): number {
    return this.#widthMs
  }

  get slices(): readonly Slice[] {
    return this.#slices
  }

  /** The slice that holds a time; times before 0 belong to the first. */
  at(timeMs: number): Slice {
    let index = Math.max(0, Math.floor(timeMs / this.#widthMs))
    while (index >= maximumSlices) {
      this.#halve()
      index = Math.floor(timeMs / this.#widthMs)
    }
    while (this.#slices.length <= index) this.#slices.push(emptySlice())
    return this.#slices[index] ?? emptySlice()
  }

  /** Adds the time from start to end as running time to every slice that it touches. */
  addRunning(startMs: number, endMs: number): void {
    this.at(endMs)
    let fromMs = Math.max(0, startMs)
    while (fromMs < endMs) {
      const index = Math.floor(fromMs / this.#widthMs)
      const untilMs = Math.min(endMs, (index + 1) * this.#widthMs)
      const slice = this.#slices[index]
      if (slice === undefined || untilMs <= fromMs) return
      slice.runningMs += untilMs - fromMs
      fromMs = untilMs
    }
  }

  /** Sum of a count over a window; slices at its edges count by the part that lies within. */
  sumWithin(key: 'outputTokens' | 'inputTokens' | 'completed' | 'runningMs', fromMs: number, toMs: number): number {
    let sum = 0
    for (const [index, slice] of this.#slices.entries()) {
      const startMs = index * this.#widthMs
      const overlapMs = Math.min(toMs, startMs + this.#widthMs) - Math.max(fromMs, startMs)
      if (overlapMs > 0) sum += (slice[key] * overlapMs) / this.#widthMs
    }
    return sum
  }

  #halve(): void {
    const merged: Slice[] = []
    for (let i = 0; i < this.#slices.length; i += 2) {
      const [left, right] = [this.#slices[i], this.#slices[i + 1]]
      if (left === undefined) continue
      if (right !== undefined) mergeInto(left, right)
      merged.push(left)
    }
    this.#slices = merged
    this.#widthMs *= 2
  }
}

function emptySlice(): Slice {
  return {
    scheduled: 0,
    completed: 0,
    failed: 0,
    outputTokens: 0,
    inputTokens: 0,
    runningMs: 0,
    ttftMs: new LogHistogram(sliceGrowth),
    gapMs: new LogHistogram(sliceGrowth),
  }
}

function mergeInto(left: Slice, right: Slice): void {
  left.scheduled += right.scheduled
  left.completed += right.completed
  left.failed += right.failed
  left.outputTokens += right.outputTokens
  left.inputTokens += right.inputTokens
  left.runningMs += right.runningMs
  left.ttftMs.merge(right.ttftMs)
  left.gapMs.merge(right.gapMs)
}
