import { number } from './extracts.ts'
import { predictAll, type HeldOut } from './folds.ts'
import type { Estimate } from './estimate.ts'
import type { Measurement } from './measurements.ts'
import { median } from './statistics.ts'

export interface ChoiceAccuracy {
  readonly rule: string
  readonly groups: number
  /** Share of groups whose chosen configuration measures within 5 % of the best one. */
  readonly within5Percent: number
}

/**
 * Choosing a configuration of DeepSeek-R1 by prediction: among the measured alternatives of a group, take the one
 * predicted to give the most tokens per GPU, and compare what it measured with the best of the group. The fit sees
 * no row of this model.
 */
export function validateChoice(measurements: readonly Measurement[], fit: Estimate): readonly ChoiceAccuracy[] {
  const rows = measurements.filter(isR1)
  const heldOut = predictAll(fit, mergeRepeats(rows))
  const load = ({ measurement }: HeldOut) =>
    [
      measurement.gpu,
      measurement.facts.deployment.precision.format.id,
      measurement.cells['isl'],
      measurement.cells['osl'],
    ].join()
  const rules: Readonly<Record<string, { readonly group: (one: HeldOut) => string; readonly tpotMs: number }>> = {
    'parallelism at equal engine and concurrency': {
      group: (one) => `${load(one)},${one.measurement.engine},${one.measurement.load.concurrency}`,
      tpotMs: Infinity,
    },
    'engine, parallelism and concurrency for most tokens/s': { group: load, tpotMs: Infinity },
    'the same within TPOT ≤ 50 ms': { group: load, tpotMs: 50 },
    'the same within TPOT ≤ 30 ms': { group: load, tpotMs: 30 },
    'the same within TPOT ≤ 20 ms': { group: load, tpotMs: 20 },
  }
  return Object.entries(rules).map(([rule, { group, tpotMs }]) => choiceAccuracy(rule, heldOut, group, tpotMs))
}

function choiceAccuracy(
  rule: string,
  heldOut: readonly HeldOut[],
  group: (one: HeldOut) => string,
  tpotMs: number,
): ChoiceAccuracy {
  const measured = ({ measurement }: HeldOut) => number(measurement.cells, 'tok_s_per_gpu')
  const meets = ({ measurement }: HeldOut) => number(measurement.cells, 'tpot_ms') <= tpotMs
  let groups = 0
  let good = 0
  for (const members of Map.groupBy(heldOut, group).values()) {
    const valid = members.filter(meets)
    if (members.length < 2 || valid.length === 0) continue
    groups += 1
    const allowed = members.filter(({ performance }) => performance.tpotMs <= tpotMs)
    const best = Math.max(...valid.map(measured))
    const [chosen] = allowed.toSorted((a, b) => predictedRate(b) - predictedRate(a))
    if (chosen !== undefined && meets(chosen) && measured(chosen) >= 0.95 * best) good += 1
  }
  return { rule, groups, within5Percent: good / groups }
}

/** Tokens per second and GPU of a closed loop: requests in flight over the time of one, times its tokens. */
function predictedRate({ measurement, performance }: HeldOut): number {
  const { concurrency, outputTokens } = measurement.load
  const requestMs = performance.ttftMs + performance.tpotMs * (outputTokens - 1)
  return (concurrency * outputTokens) / requestMs / measurement.facts.gpus
}

/** Repeats of a configuration over dates become one, by their median throughput. */
function mergeRepeats(rows: readonly Measurement[]): readonly Measurement[] {
  const key = ({ cells, facts, engine, gpu, load }: Measurement) => {
    const { tp, ep, dp, precision } = facts.deployment
    return [gpu, engine, precision.format.id, tp, ep, dp, cells['isl'], cells['osl'], load.concurrency].join()
  }
  return [...Map.groupBy(rows, key).values()].flatMap((repeats) => {
    const rate = median(repeats.map(({ cells }) => number(cells, 'tok_s_per_gpu')))
    const tpot = median(repeats.map(({ cells }) => number(cells, 'tpot_ms')))
    const [first] = repeats
    return first === undefined
      ? []
      : [{ ...first, cells: { ...first.cells, tok_s_per_gpu: String(rate), tpot_ms: String(tpot) } }]
  })
}

export function isR1({ source }: Measurement): boolean {
  return source === 'inferencex-dsr1'
}
