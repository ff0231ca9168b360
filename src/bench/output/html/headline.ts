import type { FactsSection } from '../../../report/index.ts'
import type { BenchPoint, BenchResult } from '../../result.ts'
import { verdictOf } from '../../search/ratios.ts'
import { showLatency, showNumber, showPercent } from '../figures.ts'
import { heldUpTo } from '../verdict.ts'

/** The large figures at the top. */
export function headline(result: BenchResult): FactsSection {
  const { summary } = result
  const fact = (label: string, key: string, note?: string): { label: string; value: string; note?: string } => ({
    label,
    value: showNumber(summary[key]),
    ...(summary[`${key}Low`] === undefined
      ? note === undefined
        ? {}
        : { note }
      : { note: `95 %: ${showNumber(summary[`${key}Low`])} to ${showNumber(summary[`${key}High`])}` }),
  })
  const tail = (label: string, name: string): { label: string; value: string; note?: string } =>
    (summary[`${name}P99`] ?? null) === null
      ? {
          label,
          value: showLatency(summary, name, 'P99'),
          note: `samples; there are ${showNumber(summary[`${name}Count`])}`,
        }
      : fact(label, `${name}P99`)
  if (result.ratios !== undefined) return { kind: 'facts', facts: ratioFacts(result, result.ratios) }
  if (result.kind === 'sweep') return { kind: 'facts', facts: sweepFacts(result) }
  const facts = [
    ...(result.kind === 'goodput' ? [fact('Highest rate in time, requests/s', 'maxRateRps')] : []),
    fact('Output tokens/s', 'outputTokPerS'),
    fact('Tokens/s per user, p50', 'tokPerSUserP50'),
    fact('TTFT p50, ms', 'ttftMsP50'),
    tail('TTFT p99, ms', 'ttftMs'),
    fact('TPOT p50, ms', 'tpotMsP50'),
    tail('TPOT p99, ms', 'tpotMs'),
    ...(result.sloHeld === null
      ? []
      : [
          fact('Goodput, requests/s', 'goodputRps'),
          { label: 'Attainment, worst class', value: showPercent(summary['attainmentWorstClass']) },
        ]),
    ...((summary['usdPerMtokOutput'] ?? null) === null
      ? []
      : [fact('$ per million output tokens', 'usdPerMtokOutput')]),
    ...((summary['joulesPerOutputTok'] ?? null) === null ? [] : [fact('J per output token', 'joulesPerOutputTok')]),
    fact('Failed requests', 'errors', `of ${showNumber(summary['requests'])}`),
  ]
  return { kind: 'facts', facts }
}

/** What a comparison is made for: how B stands to A in the main figures, and who they are. */
function ratioFacts(
  { points }: BenchResult,
  ratios: NonNullable<BenchResult['ratios']>,
): { label: string; value: string; note?: string }[] {
  const [a = 'A', b = 'B'] = points.map((point) => point.label)
  const main = ['ttftMsP50', 'ttftMsP99', 'tpotMsP50', 'tpotMsP99', 'outputTokPerS', 'goodputRps']
  const failed = points.map(({ label, summary }) => `${label} ${showNumber(summary['errors'])}`)
  return [
    ...main.flatMap((key) => {
      const ratio = ratios[key]
      if (ratio === undefined) return []
      const { name, text } = verdictOf(key, ratio, b)
      const [left, right] = points.map((point) => showNumber(point.summary[key]))
      const note = `${left} → ${right}; ${text}; 95 %: ${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}`
      return [{ label: `${name}, ${b} over ${a}`, value: ratio.ratio.toFixed(2), note }]
    }),
    { label: 'Failed requests', value: failed.join(', ') },
  ]
}

/** What a sweep is made for: the ends of its curve, and how far the objectives hold. */
function sweepFacts({
  points,
  sloHeld,
  attainmentTarget,
}: BenchResult): { label: string; value: string; note?: string }[] {
  const top = (label: string, key: string): { label: string; value: string; note?: string } => {
    const value = (point: BenchPoint): number => point.summary[key] ?? -Infinity
    const best = points.toSorted((a, b) => value(b) - value(a))[0]
    return best === undefined || value(best) === -Infinity
      ? { label, value: '–' }
      : { label, value: showNumber(value(best)), note: `at ${best.label}` }
  }
  const held = heldUpTo(points, attainmentTarget)
  const sum = (key: string): number => points.reduce((total, point) => total + (point.summary[key] ?? 0), 0)
  return [
    top('Most output tokens/s', 'outputTokPerS'),
    top('Most tokens/s per user, p50', 'tokPerSUserP50'),
    ...(sloHeld === null
      ? []
      : [
          top('Most goodput, requests/s', 'goodputRps'),
          { label: 'Objectives hold up to', value: held?.label ?? 'no load measured' },
        ]),
    { label: 'Failed requests', value: showNumber(sum('errors')), note: `of ${showNumber(sum('requests'))}` },
  ]
}
