import { describe, expect, it } from 'vitest'
import { resolveModel } from '../../model/index.ts'
import { paretoFront } from '../report/plots.ts'
import { riskText } from '../report/words.ts'
import { foldChoices } from './fold.ts'
import { recommend } from './recommend.ts'
import { groupRejections } from './rejections.ts'
import { energyUsdPerMillionTokens, usdPerGpuHour, usdPerMillionTokens } from '../timing/cost.ts'
import { resolveHardware } from '../work/hardware.ts'
import { resolveFormat } from '../work/precision.ts'
import { speedOfSparsity } from '../work/sparsity.ts'

const assumptions = {
  priceTier: 'neocloud',
  utilisation: 0.8,
  prefixHit: 0,
  tokensPerStep: 1,
  risk: 'median',
} as const

function plan(demand: Parameters<typeof recommend>[1], gpus = ['h100'], risk: 'median' | 'safe' = 'median') {
  return recommend(
    {
      shape: resolveModel('llama-3.1-70b').shape,
      gpus: gpus.map((name) => resolveHardware(name)),
      formats: ['bf16', 'fp8'].map((name) => resolveFormat(name)),
      maxGpusPerReplica: 8,
    },
    demand,
    { ...assumptions, risk },
  )
}

const demand = { inputTokens: 2000, outputTokens: 500, ttftMs: 500, tpotMs: 25, ratePerSecond: 20 }

describe('recommend()', () => {
  it('puts the cheapest configuration that meets the objectives first, and sizes its fleet for the rate', () => {
    const { choices } = plan(demand)
    expect(choices.length).toBeGreaterThan(3)
    const prices = choices.map(({ usdPerHour }) => usdPerHour ?? Infinity)
    expect(prices).toEqual(prices.toSorted((a, b) => a - b))
    for (const choice of choices) {
      expect(choice.prediction.ttftMs.value).toBeLessThanOrEqual(500)
      expect(choice.prediction.tpotMs.value).toBeLessThanOrEqual(25)
      expect(choice.replicas * choice.requestsPerSecond * 0.8).toBeGreaterThanOrEqual(20 - 1e-6)
      expect((choice.replicas - 1) * choice.requestsPerSecond * 0.8).toBeLessThan(20)
    }
  })

  it('says of each other configuration why it fails', () => {
    const { rejected } = plan(demand)
    expect(rejected.find(({ deployment }) => deployment === 'vllm bf16 TP1 on h100_sxm')?.reason).toMatch(
      /does not fit/,
    )
    expect(rejected.every(({ reason }) => reason.length > 20)).toBe(true)
    const { choices, rejected: all } = plan({ ...demand, tpotMs: 1 })
    expect(choices).toEqual([])
    expect(all.some(({ reason }) => /Even one request alone misses: TPOT is/.test(reason))).toBe(true)
  })

  it('says by how much a choice is not safe, and plans by the unfavourable end where asked', () => {
    const [likely] = plan(demand).choices
    for (const { quantity, worstMs, objectiveMs } of likely?.risks ?? []) {
      expect(worstMs).toBeGreaterThan(objectiveMs)
      expect(riskText(likely?.risks ?? [])).toContain(`${quantity} may come to`)
    }
    expect(likely?.risks.length).toBeGreaterThan(0)
    const { choices } = plan(demand, ['h100'], 'safe')
    expect(choices.length).toBeGreaterThan(0)
    for (const choice of choices) {
      expect(choice.risks).toEqual([])
      expect(choice.prediction.tpotMs.high).toBeLessThanOrEqual(25)
    }
    expect(choices[0]?.gpus ?? 0).toBeGreaterThanOrEqual(likely?.gpus ?? Infinity)
    expect(riskText([])).toMatch(/^Safe:/)
    expect(riskText([{ quantity: 'TPOT', worstMs: 31.25, objectiveMs: 25 }])).toBe(
      'Not safe: TPOT may come to 31.3 ms, 25 % over its objective of 25 ms. Plan with --risk safe to rule that out.',
    )
  })

  it('groups failures by cause, the nearest miss first, in GB', () => {
    const groups = groupRejections(plan({ ...demand, tpotMs: 10 }).rejected)
    const memory = groups.find(({ cause }) => cause === 'memory')
    expect(memory?.nearest).toMatch(/^[\d.]+ GB missing on each GPU$/)
    expect(groups.find(({ cause }) => cause === 'TPOT')?.nearest).toMatch(/^[\d.]+ ms for 10 ms$/)
    expect(groups.flatMap(({ rejected }) => rejected)).toHaveLength(plan({ ...demand, tpotMs: 10 }).rejected.length)
  })

  it('asks for more GPUs for more users', () => {
    const few = plan({ inputTokens: 1000, outputTokens: 500, tpotMs: 20, users: 50 }).choices[0]
    const many = plan({ inputTokens: 1000, outputTokens: 500, tpotMs: 20, users: 500 }).choices[0]
    expect(many?.gpus ?? 0).toBeGreaterThanOrEqual(5 * (few?.gpus ?? Infinity))
  })
})

describe('foldChoices()', () => {
  it('shows what nothing beats, and joins what nothing printed tells apart', () => {
    const { choices } = plan(demand)
    const { shown, dominated } = foldChoices(choices)
    expect(shown[0]?.choice).toBe(choices[0])
    expect(shown.length + dominated + shown.reduce((sum, { equal }) => sum + equal.length, 0)).toBe(choices.length)
    expect(dominated).toBeGreaterThan(0)
    const [first] = choices
    if (first === undefined) throw new Error('no choice')
    const worse = { ...first, gpus: first.gpus + 1, usdPerHour: (first.usdPerHour ?? 0) + 1 }
    expect(foldChoices([first, { ...first }, worse])).toMatchObject({ shown: [{ equal: [{}] }], dominated: 1 })
  })
})

describe('paretoFront()', () => {
  it('keeps what nothing beats in both directions', () => {
    const { choices } = plan(demand)
    const points = choices.flatMap(({ sweep }) => sweep)
    const front = paretoFront(points)
    expect(front.length).toBeGreaterThan(2)
    for (const point of points) {
      const beaten = front.some(
        (one) =>
          one.tokensPerSecondPerUser.value >= point.tokensPerSecondPerUser.value &&
          one.tokensPerSecondPerGpu.value >= point.tokensPerSecondPerGpu.value,
      )
      expect(beaten).toBe(true)
    }
  })
})

describe('money and joules, by hand', () => {
  it('prices a million tokens: 1.55 $/h at 1,000 tokens/s and 80 % is 0.538 $', () => {
    expect(usdPerMillionTokens(1.55, 1000, 0.8)).toBeCloseTo((1.55 / 3.6 / 0.8) * 1, 3)
  })

  it('prices electricity: 1 J/token at 0.08 $/kWh and PUE 1.2 is 0.027 $ a million', () => {
    expect(energyUsdPerMillionTokens(1, 0.08, 1.2)).toBeCloseTo(0.0267, 4)
  })

  it('takes the nearest tier that has a price', () => {
    expect(usdPerGpuHour(resolveHardware('a100'), 'hyperscaler')).toEqual({ usd: 1.39, tier: 'rental' })
    expect(usdPerGpuHour(resolveHardware('m4_max'), 'rental')).toBeUndefined()
  })

  it('stores a 2:4 sparse FP8 weight in 5 bits', () => {
    expect(speedOfSparsity(8)).toMatchObject({ bitsPerWeight: 5, readGain: 1.6 })
    expect(speedOfSparsity(16).bitsPerWeight).toBe(9)
  })
})
