import { resolveModel, type ModelShape } from '../../model/index.ts'
import type { FitRow } from './estimate.ts'
import { type Cells, number, readExtract } from './extracts.ts'
import { median } from './statistics.ts'
import { type Load, type Performance, performanceOf, saturatedThroughput } from '../timing/closed-loop.ts'
import type { Coefficients } from '../timing/coefficients.ts'
import { summedStepMs } from '../timing/step-time.ts'
import { type DeploymentFacts, factsOf } from '../work/deployment-facts.ts'
import { deploy } from '../work/deployment.ts'
import { resolveEngine } from '../work/engine-profiles.ts'
import { resolveHardware } from '../work/hardware.ts'
import { assessMemory, cacheCapacity, engineMaxBatch } from '../work/memory.ts'
import { resolveFormat } from '../work/precision.ts'
import { prefillWork, type StepWork } from '../work/step-work.ts'

export type Source = 'aic-silicon' | 'trtllm-throughput' | 'mlenergy' | 'inferencex-dsr1'

/** What a row measured: time per output token, to the first token, of one step, or output tokens/s per GPU. */
export type Quantity = 'tpot' | 'ttft' | 'step' | 'throughput'

/** One measured configuration under one load. */
export interface Measurement {
  readonly source: Source
  readonly cells: Cells
  readonly model: string
  /** Models of one shape are one family: leaving a model out of a fit leaves all of these out. */
  readonly family: string
  readonly gpu: string
  readonly engine: string
  readonly generation: string
  readonly facts: DeploymentFacts
  readonly load: Load
  /** Sequences that the replica runs at once, cache and engine limits considered. */
  readonly capacity: number
  readonly prefill: StepWork
  readonly observed: readonly { readonly quantity: Quantity; readonly value: number; readonly weight: number }[]
}

/** The times that coefficients give for a measurement's configuration and load. */
export function predictMeasurement(measurement: Measurement, coefficients: Coefficients): Performance {
  const { facts, load, capacity, prefill } = measurement
  return performanceOf(facts, load, capacity, coefficients, prefill)
}

export function quantityOf(performance: Performance, quantity: Quantity, { facts, load }: Measurement): number {
  switch (quantity) {
    case 'tpot':
      return performance.tpotMs
    case 'ttft':
      return performance.ttftMs
    case 'step':
      return performance.stepMs
    case 'throughput':
      return saturatedThroughput(performance, load.outputTokens) / facts.gpus
  }
}

/** All measurements that the calibration uses. */
export function readMeasurements(): readonly Measurement[] {
  return [...aicSilicon(), ...trtllmThroughput(), ...mlenergy(), ...inferencexR1()]
}

export function aicSilicon(): readonly Measurement[] {
  return readExtract('aic-silicon.csv').map((cells) => {
    const share = number(cells, 'lengths')
    return measurement('aic-silicon', cells, {
      model: cells['model'] ?? '',
      gpu: cells['gpu'] ?? '',
      engine: cells['engine'] ?? '',
      precision: cells['precision'] ?? '',
      parallelism: { tp: number(cells, 'tp'), pp: 1, ep: number(cells, 'ep'), dp: number(cells, 'dp') },
      inputTokens: number(cells, 'isl') * share,
      outputTokens: number(cells, 'osl') * share,
      concurrency: number(cells, 'concurrency'),
      observed: [
        { quantity: 'tpot', value: number(cells, 'tpot_ms'), weight: 1 },
        { quantity: 'ttft', value: number(cells, 'ttft_ms'), weight: 0.5 },
      ],
    })
  })
}

export function trtllmThroughput(): readonly Measurement[] {
  return readExtract('trtllm-throughput.csv').map((cells) =>
    measurement('trtllm-throughput', cells, {
      model: cells['model'] ?? '',
      gpu: cells['gpu'] ?? '',
      engine: 'trtllm',
      precision: cells['precision'] ?? '',
      parallelism: {
        tp: number(cells, 'tp') || 1,
        pp: number(cells, 'pp') || 1,
        ep: number(cells, 'ep') || 1,
        dp: number(cells, 'dp') || 1,
      },
      inputTokens: number(cells, 'isl'),
      outputTokens: number(cells, 'osl'),
      concurrency: undefined,
      observed: [{ quantity: 'throughput', value: number(cells, 'output_tok_s_per_gpu'), weight: 1 }],
    }),
  )
}

/**
 * ML.ENERGY publishes no prompt lengths; chat and science prompts are some hundred tokens, completions of code carry
 * the files around them. Its median inter-token
 * latency is a step without prefill. Rows with images or video, and the science rows of two small models on B200
 * that contradict their chat rows four to six times, are left out.
 */
export function mlenergy(): readonly Measurement[] {
  const promptTokens: Readonly<Record<string, number>> = { 'lm-arena-chat': 200, gpqa: 200, 'sourcegraph-fim': 1200 }
  return readExtract('mlenergy.csv').flatMap((cells) => {
    const inputTokens = promptTokens[cells['task'] ?? '']
    if (inputTokens === undefined) return []
    if (cells['gpu'] === 'b200_sxm' && cells['task'] === 'gpqa' && /Qwen3-(8|14)B/.test(cells['model'] ?? '')) return []
    const gpus = number(cells, 'gpus')
    const dataParallel = number(cells, 'dp') > 1
    return [
      measurement('mlenergy', cells, {
        model: cells['model'] ?? '',
        gpu: cells['gpu'] ?? '',
        engine: 'vllm',
        precision: cells['precision'] ?? '',
        parallelism: {
          tp: dataParallel ? 1 : gpus,
          pp: 1,
          ep: number(cells, 'ep'),
          dp: dataParallel ? gpus : 1,
        },
        inputTokens,
        outputTokens: number(cells, 'output_tokens'),
        concurrency: Math.max(1, number(cells, 'batch')),
        observed: [{ quantity: 'step', value: number(cells, 'itl_ms'), weight: 0.5 }],
      }),
    ]
  })
}

/** InferenceX on DeepSeek-R1: aggregated serving without speculation, by the three engines. Lengths average 0.9 of the nominal. */
export function inferencexR1(): readonly Measurement[] {
  return readExtract('inferencex-dsr1.csv').flatMap((cells) => {
    if (cells['disaggregated'] !== '0' || cells['speculation'] !== 'none') return []
    if (cells['engine'] === 'atom' || !(number(cells, 'tpot_ms') > 0)) return []
    return [r1Measurement(cells)]
  })
}

/** One row of the InferenceX table as a measurement of its decode side. */
export function r1Measurement(cells: Cells): Measurement {
  const dataParallel = cells['dp'] === '1'
  const tp = number(cells, 'tp')
  return measurement('inferencex-dsr1', cells, {
    model: 'deepseek-r1',
    gpu: cells['gpu'] ?? '',
    engine: cells['engine'] ?? '',
    precision: cells['precision'] ?? '',
    parallelism: { tp: dataParallel ? 1 : tp, pp: 1, ep: number(cells, 'ep'), dp: dataParallel ? tp : 1 },
    inputTokens: 0.9 * number(cells, 'isl'),
    outputTokens: 0.9 * number(cells, 'osl'),
    concurrency: number(cells, 'concurrency'),
    observed: [
      { quantity: 'tpot', value: number(cells, 'tpot_ms'), weight: 0.5 },
      { quantity: 'ttft', value: number(cells, 'ttft_ms'), weight: 0.25 },
    ],
  })
}

interface Described {
  readonly model: string
  readonly gpu: string
  readonly engine: string
  readonly precision: string
  readonly parallelism: { readonly tp: number; readonly pp: number; readonly ep: number; readonly dp: number }
  readonly inputTokens: number
  readonly outputTokens: number
  /** Undefined: everything queued at once. */
  readonly concurrency: number | undefined
  readonly observed: Measurement['observed']
}

function measurement(source: Source, cells: Cells, described: Described): Measurement {
  const { shape } = resolveModel(described.model)
  const gpu = resolveHardware(described.gpu)
  const engine = resolveEngine(described.engine)
  const deployment = deploy(shape, gpu, engine, resolveFormat(described.precision), described.parallelism)
  const facts = factsOf(deployment)
  const { inputTokens, outputTokens } = described
  // What was measured did run, however tight: at least one sequence.
  const held = Math.max(
    1,
    Math.min(engineMaxBatch(deployment), cacheCapacity(facts, inputTokens, outputTokens, assessMemory(facts).usable)),
  )
  const capacity = source === 'mlenergy' ? (described.concurrency ?? held) : held
  return {
    source,
    cells,
    model: shape.name,
    family: familyOf(shape),
    gpu: gpu.id,
    engine: engine.id,
    generation: gpu.generation,
    facts,
    load: {
      inputTokens,
      outputTokens,
      concurrency: described.concurrency ?? capacity,
      cachedTokens: 0,
      tokensPerStep: 1,
    },
    capacity,
    prefill: prefillWork(facts, inputTokens),
    observed: described.observed,
  }
}

/** Models that differ in training alone share a shape, hence a family: DeepSeek V3, R1 and V3.1; Llama 3.1 and 3.3 70B. */
function familyOf(shape: ModelShape): string {
  return JSON.stringify([shape.hidden, shape.layers, shape.vocabulary, shape.mixers, shape.ffns])
}

/**
 * The rows as the fit takes them. Repeats of one configuration under one load become one row with their median,
 * weighing up to twice; the other tables' engines and meters may be off by a common factor each.
 */
export function toFitRows(measurements: readonly Measurement[]): readonly FitRow[] {
  const groups = Map.groupBy(measurements, repeatKey)
  return [...groups.values()].flatMap((repeats) => {
    const [first] = repeats
    if (first === undefined) return []
    const weight = Math.min(2, Math.sqrt(repeats.length))
    const observed = first.observed.map(({ quantity, weight: own }, o) => ({
      quantity,
      value: median(repeats.map((one) => one.observed[o]?.value ?? Number.NaN)),
      weight: own * weight,
    }))
    return [
      {
        engine: first.engine,
        generation: first.generation,
        offsetKey: offsetKeyOf(first),
        weights: observed.map((one) => one.weight),
        residuals: (coefficients: Coefficients) => {
          const { facts, load, capacity, prefill } = first
          const performance = performanceOf(facts, load, capacity, coefficients, prefill, summedStepMs)
          return observed.map(({ quantity, value }) => Math.log(quantityOf(performance, quantity, first) / value))
        },
      },
    ]
  })
}

export function offsetKeyOf(measurement: Measurement): string | undefined {
  if (measurement.source === 'aic-silicon' || measurement.source === 'inferencex-dsr1') return undefined
  return `offset:${measurement.source}/${measurement.generation}`
}

function repeatKey({ source, model, facts, load }: Measurement): string {
  const { gpu, engine, precision, tp, pp, ep, dp } = facts.deployment
  const { inputTokens, outputTokens, concurrency } = load
  return [
    source,
    model,
    gpu.id,
    engine.id,
    precision.format.id,
    tp,
    pp,
    ep,
    dp,
    inputTokens,
    outputTokens,
    concurrency,
  ].join()
}
