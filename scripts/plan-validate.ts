/** Measures the planner's accuracy on rows left out of its fit, and writes docs/planner-validation.md: `npm run plan:validate`. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { readMeasurements } from '../src/planner/fit/measurements.ts'
import { validate, type ServingAccuracy } from '../src/planner/fit/validation.ts'
import type { Accuracy } from '../src/planner/fit/statistics.ts'

const measurements = readMeasurements()
const result = validate(measurements)
const percent = (share: number) => `${(100 * share).toFixed(1)} %`
const row = (...cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
const accuracy = (name: string, { rows, median, mean, p90, rankCorrelation }: Accuracy) =>
  row(name, rows, percent(median), percent(mean), percent(p90), rankCorrelation.toFixed(3))

function serving(title: string, one: ServingAccuracy): string[] {
  return [
    `## ${title}`,
    '',
    row('quantity', 'rows', 'median error', 'mean error', 'p90', 'Spearman'),
    row('---', '---', '---', '---', '---', '---'),
    accuracy('TPOT, all rows', one.tpot),
    accuracy('TPOT, rows that AIConfigurator predicts', one.tpotShared),
    accuracy('TPOT, AIConfigurator on the same rows', one.tpotAic),
    accuracy('TPOT, without mislabelled rows', one.tpotCleanShared),
    accuracy('TPOT, AIConfigurator without mislabelled rows', one.tpotCleanAic),
    accuracy('TPOT, without rows faster than memory can be read', one.tpotPossibleShared),
    accuracy('TPOT, AIConfigurator without rows faster than memory can be read', one.tpotPossibleAic),
    accuracy('TTFT, all rows', one.ttft),
    accuracy('TTFT, rows that AIConfigurator predicts', one.ttftShared),
    accuracy('TTFT, AIConfigurator on the same rows', one.ttftAic),
    '',
  ]
}

/** Goals and what was measured, all on models that the fit did not see. */
function goals(): string[] {
  const { tpotShared, tpotPossibleShared, ttftShared } = result.leaveOneModelOut
  const line = (name: string, asked: number, measured: number, atLeast = false) =>
    row(
      name,
      atLeast ? `≥ ${asked}` : `≤ ${percent(asked)}`,
      atLeast ? measured.toFixed(3) : percent(measured),
      (atLeast ? measured >= asked : measured <= asked) ? 'yes' : 'no',
    )
  return [
    '## Asked beside measured',
    '',
    row('figure', 'asked', 'measured', 'met'),
    row('---', '---', '---', '---'),
    line('TPOT, model left out, median error', 0.1, tpotShared.median),
    line('TPOT, model left out, mean error', 0.15, tpotShared.mean),
    line('the same without rows faster than memory can be read', 0.15, tpotPossibleShared.mean),
    line('TPOT, model left out, Spearman', 0.95, tpotShared.rankCorrelation, true),
    line('TTFT, model left out, median error', 0.25, ttftShared.median),
    line('TTFT, model left out, Spearman', 0.9, ttftShared.rankCorrelation, true),
    line('TensorRT-LLM throughput of later releases, median error', 0.12, result.throughput.median),
    line('joules per token, model left out, median error', 0.15, result.joules.median),
    '',
  ]
}

const lines = [
  '# Accuracy of the planner',
  '',
  'Written by `npm run plan:validate` from the extracts in src/planner/data. Errors are |predicted/measured − 1| on rows',
  'that the fit did not see.',
  '',
  ...goals(),
  ...serving('Leave one model out', result.leaveOneModelOut),
  ...serving('Leave one GPU out', result.leaveOneGpuOut),
  '## Other tables',
  '',
  row('quantity', 'rows', 'median error', 'mean error', 'p90', 'Spearman'),
  row('---', '---', '---', '---', '---', '---'),
  accuracy('TensorRT-LLM 1.1-1.2rc output tokens/s per GPU, fitted on 0.17 and 1.0', result.throughput),
  accuracy('ML.ENERGY joules per token, leave one model out', result.joules),
  '',
  '## Choice of configuration, DeepSeek-R1 of InferenceX, model left out of the fit',
  '',
  row('choice', 'groups', 'within 5 % of the best'),
  row('---', '---', '---'),
  ...result.choice.map(({ rule, groups, within5Percent }) => row(rule, groups, percent(within5Percent))),
  '',
  '## Prefill and decode apart, DeepSeek-R1 of InferenceX, model left out of the fit',
  '',
  'No fit uses these runs. Rows whose parallelism contradicts their GPU counts are left out.',
  '',
  row('quantity', 'rows', 'median error', 'mean error', 'p90', 'Spearman'),
  row('---', '---', '---', '---', '---', '---'),
  accuracy('TPOT', result.disaggregated.tpot),
  accuracy('TTFT', result.disaggregated.ttft),
  accuracy('output tokens/s per GPU', result.disaggregated.throughput),
  '',
  '## Coverage of the 80 % intervals on left-out rows',
  '',
  row('left out', 'engine', 'quantity', 'rows', 'inside'),
  row('---', '---', '---', '---', '---'),
  ...result.coverage.map(({ fold, engine, quantity, rows, share }) =>
    row(fold, engine, quantity, rows, percent(share)),
  ),
  '',
  '## Residuals of TPOT, leave one model out',
  '',
  'Bias is the median of ln(predicted/measured), size the median of its magnitude.',
  '',
  row('by', 'cell', 'rows', 'bias', 'size'),
  row('---', '---', '---', '---', '---'),
  ...result.leaveOneModelOut.residuals.map(({ by, cell, rows, bias, size }) =>
    row(by, cell, rows, percent(bias), percent(size)),
  ),
  '',
]
const target = path.join(import.meta.dirname, '../docs/planner-validation.md')
writeFileSync(target, lines.join('\n'))
console.log(lines.join('\n'))
