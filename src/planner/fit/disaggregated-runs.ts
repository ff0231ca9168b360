import { TokenmillError } from '../../core/index.ts'
import { resolveModel } from '../../model/index.ts'
import type { Estimate } from './estimate.ts'
import { type Cells, number, readExtract } from './extracts.ts'
import { type Accuracy, accuracyOf } from './statistics.ts'
import { calibration } from '../timing/calibration.ts'
import { predictDisaggregated } from '../timing/disaggregated.ts'
import { factsOf } from '../work/deployment-facts.ts'
import { deploy } from '../work/deployment.ts'
import { resolveEngine } from '../work/engine-profiles.ts'
import { resolveHardware } from '../work/hardware.ts'
import { resolveFormat } from '../work/precision.ts'

/** How predictions of disaggregated serving compare with runs that no fit uses. */
export interface DisaggregatedAccuracy {
  readonly tpot: Accuracy
  readonly ttft: Accuracy
  /** Output tokens per second over all GPUs, per GPU. */
  readonly throughput: Accuracy
  /** Runs whose configuration the planner calls impossible. */
  readonly refused: number
}

/** InferenceX's disaggregated runs of DeepSeek-R1 without speculation, predicted with a fit that saw none of them. */
export function validateDisaggregated(fit: Estimate): DisaggregatedAccuracy {
  const from = { ...calibration, deviations: fit.deviations }
  const rows = readExtract('inferencex-dsr1.csv').filter(
    (cells) =>
      cells['disaggregated'] === '1' &&
      cells['speculation'] === 'none' &&
      number(cells, 'tpot_ms') > 0 &&
      isLabelled(cells),
  )
  let refused = 0
  const pairs = rows.flatMap((cells) => {
    try {
      return [{ cells, prediction: predictDisaggregated(layoutOf(cells), loadOf(cells), { calibration: from }) }]
    } catch (error) {
      if (!(error instanceof TokenmillError)) throw error
      refused += 1
      return []
    }
  })
  return {
    tpot: accuracyOf(
      pairs.map(({ cells, prediction }) => ({
        predicted: prediction.tpotMs.value,
        measured: number(cells, 'tpot_ms'),
      })),
    ),
    ttft: accuracyOf(
      pairs.map(({ cells, prediction }) => ({
        predicted: prediction.ttftMs.value,
        measured: number(cells, 'ttft_ms'),
      })),
    ),
    // The source counts input and output tokens; of N requests each has both.
    throughput: accuracyOf(
      pairs.map(({ cells, prediction }) => {
        const { inputTokens, outputTokens } = prediction.load
        const outputShare = outputTokens / (inputTokens + outputTokens)
        return {
          predicted: prediction.tokensPerSecondPerGpu.value,
          measured: number(cells, 'tok_s_per_gpu') * outputShare,
        }
      }),
    ),
    refused,
  }
}

/** Many rows give a tensor-parallel size that contradicts their GPU counts: what ran is not known, so they say nothing. */
function isLabelled(cells: Cells): boolean {
  const agrees = (prefix: string, gpus: string, workers: string) =>
    number(cells, `${prefix}tp`) * number(cells, workers) === number(cells, gpus)
  return agrees('prefill_', 'prefill_gpus', 'prefill_workers') && agrees('', 'decode_gpus', 'workers')
}

function loadOf(cells: Cells) {
  return {
    inputTokens: 0.9 * number(cells, 'isl'),
    outputTokens: 0.9 * number(cells, 'osl'),
    concurrency: number(cells, 'concurrency'),
  }
}

function layoutOf(cells: Cells) {
  const { shape } = resolveModel('deepseek-r1')
  const gpu = resolveHardware(cells['gpu'] ?? '')
  // Orchestrators name themselves beside the engine: `dynamo-trt`, `mori-sglang`, `sglang-disagg`.
  const engine = resolveEngine((cells['engine'] ?? '').replace(/^(dynamo|mori)-|-disagg$/g, ''))
  const format = resolveFormat(cells['precision'] ?? '')
  const side = (prefix: string) => {
    const tp = number(cells, `${prefix}tp`)
    const groups = cells[`${prefix}dp`] === '1'
    const parallelism = { tp: groups ? 1 : tp, pp: 1, ep: number(cells, `${prefix}ep`), dp: groups ? tp : 1 }
    return factsOf(deploy(shape, gpu, engine, format, parallelism))
  }
  return {
    prefill: side('prefill_'),
    prefillReplicas: number(cells, 'prefill_workers'),
    decode: side(''),
    decodeReplicas: number(cells, 'workers'),
  }
}
