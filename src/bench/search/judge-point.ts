import { wilsonInterval } from '../../workload/index.ts'
import type { BenchPoint } from '../result.ts'

/** Whether a load keeps every class's objectives. */
export interface Verdict {
  readonly holds: boolean
  /** The interval of the worst class lies on one side of the target. */
  readonly certain: boolean
  readonly reason: string
}

/**
 * A point holds when every class meets its objectives in at least `target` of its requests. By the Wilson interval
 * where it is clear of the target, else by the share itself, and then the verdict is not certain. A point that
 * piles up requests does not hold, however its first requests fared: it would fail if it ran longer.
 */
export function judgePoint(point: BenchPoint, target: number): Verdict {
  const names = point.runs[0]?.classes.map((each) => each.name) ?? []
  const oversaturated = point.runs.some((run) => run.saturation?.oversaturated === true)
  if (oversaturated) return { holds: false, certain: true, reason: 'requests pile up: TTFT and concurrency grow' }
  let certain = true
  for (const [index, name] of names.entries()) {
    const all = point.runs.map((run) => run.classes[index])
    const offered = all.reduce((sum, each) => sum + (each?.offered ?? 0), 0)
    const good = all.reduce((sum, each) => sum + (each?.good ?? 0), 0)
    const interval = wilsonInterval(good, offered)
    const share = `${name} ${((100 * good) / Math.max(1, offered)).toFixed(1)} % of ${offered}`
    if (offered === 0) return { holds: false, certain: false, reason: `${name} had no request in the window` }
    if (interval.low < target && interval.high >= target) certain = false
    if (good / offered < target) return { holds: false, certain: interval.high < target, reason: share }
  }
  return { holds: true, certain, reason: 'every class meets its objectives' }
}
