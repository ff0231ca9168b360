import type { MissCause, Objectives } from '../metrics/objectives.ts'
import type { BenchPoint, BenchResult } from '../result.ts'
import type { PooledClass } from '../pooled-runs.ts'
import { showShare } from './figures.ts'

export const lengthLabels: Readonly<Record<BenchResult['lengthsFrom'], string>> = {
  tokenizer: 'the tokenizer given',
  endpoint: 'the endpoint’s /tokenize',
  usage: 'an estimate calibrated on reported usage',
  assumed: 'an estimate of one token a word',
}

const limitNames: Readonly<Record<keyof Objectives, string>> = {
  ttftMs: 'TTFT',
  tpotMs: 'TPOT',
  stallMs: 'stall',
  e2eMs: 'e2e',
}

export function describeLimit(key: keyof Objectives, ms: number): string {
  return `${limitNames[key]} ≤ ${ms} ms`
}

export function describeObjectives(objectives: Objectives): string {
  const stated = Object.entries(objectives) as [keyof Objectives, number][]
  return stated.length === 0 ? 'none' : stated.map(([key, ms]) => describeLimit(key, ms)).join(', ')
}

/** Which limits a class missed, most often first: `TTFT ≤ 300 ms missed by 31, 3 failed`. */
export function describeMisses({ misses, objectives }: Pick<PooledClass, 'misses' | 'objectives'>): string {
  const causes = Object.entries(misses) as [MissCause, number][]
  return causes
    .toSorted((a, b) => b[1] - a[1])
    .map(([cause, count]) =>
      cause === 'failed' ? `${count} failed` : `${describeLimit(cause, objectives[cause] ?? 0)} missed by ${count}`,
    )
    .join(', ')
}

/** `chat 62.0 % [51.2 %, 71.8 %] of 80: TTFT ≤ 300 ms missed by 31` */
export function describeAttainment(each: PooledClass): string {
  const misses = describeMisses(each)
  const share = `${each.name} ${showShare(each.attainment, each.low, each.high)} of ${each.offered}`
  return misses === '' ? share : `${share}: ${misses}`
}

/** A side of a comparison with what it is: `before: llama at http://host/v1`. */
export function describeSide({ label, endpoint }: BenchPoint): string {
  return endpoint === undefined ? label : `${label}: ${endpoint.model} at ${endpoint.url}`
}
