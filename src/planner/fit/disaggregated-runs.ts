import { TokenmillError } from '../../core/index.ts'
import { resolveModel } from '../../model/index.ts'
import { calibration } from '../calibration.ts'
import { deploy } from '../deployment.ts'
import { predictDisaggregated } from '../disaggregated.ts'
import { resolveHardware } from '../hardware.ts'
import { resolveFormat } from '../precision.ts'
import { factsOf } from '../roofline.ts'
import { accuracyOf, type Accuracy } from '../statistics.ts'
import type { Estimate } from './estimate.ts'
import { number, readExtract, type Cells } from './extracts.ts'

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
  const engine = cells['engine'] === 'dynamo-trt' ? 'trtllm' : 'sglang'
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
