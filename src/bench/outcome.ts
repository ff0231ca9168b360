import { TokenmillError } from '../core/index.ts'
import type { BenchResult } from './result.ts'

/**
 * What the process says to CI: 0 measured and objectives held (or none stated), 2 objectives missed, 3 the
 * measurement is invalid (the client lagged, nothing succeeded), 130 stopped by the user. 1 is for what could
 * not be measured or written at all.
 */
export function exitCodeOf(result: BenchResult, stopped: boolean): number {
  if (stopped) return 130
  if (!result.valid) return 3
  return result.sloHeld === false ? 2 : 0
}

/** A result that `--json` wrote. Throws `invalid_request` for anything else. */
export function readBenchResult(text: string, file: string): BenchResult {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch (error) {
    throw new TokenmillError('invalid_request', `${file} is not JSON.`, {}, error)
  }
  const result = data as Partial<BenchResult> | null
  if (result?.tool !== 'tokenmill bench' || !Array.isArray(result.points))
    throw new TokenmillError('invalid_request', `${file} is no result of tokenmill bench --json.`)
  // Files of earlier versions lack some of what reports read.
  return { ...(result as BenchResult), problems: result.problems ?? [], textSalt: result.textSalt ?? 0 }
}
