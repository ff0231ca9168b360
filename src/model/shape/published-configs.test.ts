import { describe, expect, it } from 'vitest'
import { shapeFromConfig } from './from-config.ts'
import configs from './published-configs.json' with { type: 'json' }
import { cachedLayers, cacheElementsPerToken, countWeights } from './weights.ts'
import type { ModelShape } from './model-shape.ts'

/** KiB that a token keeps in BF16 in the layers without a window. */
function kibPerToken({ mixers }: ModelShape): number {
  const unbounded = mixers.filter((group) => group.kind !== 'gqa' || group.window === undefined)
  return unbounded.reduce((sum, group) => sum + 2 * cachedLayers(group) * cacheElementsPerToken(group), 0) / 1024
}

describe('configs as published, shortened to their shape', () => {
  it.each(configs)(
    '$name: $billions billion weights, $kibPerToken KiB a token',
    ({ name, billions, kibPerToken: kib, config }) => {
      const shape = shapeFromConfig(name, config)
      // 2 %: publishers round, and norms, biases, patches and positions are left out.
      expect(countWeights(shape).total / 1e9 / billions).toBeGreaterThan(0.98)
      expect(countWeights(shape).total / 1e9 / billions).toBeLessThan(1.02)
      expect(kibPerToken(shape)).toBeCloseTo(kib, 2)
      expect(shape.unread).toEqual([])
    },
  )

  it('keeps what Gemma 4 says of its windowed layers apart from its global ones', () => {
    const gemma = configs.find(({ name }) => name === 'gemma-4-31b')
    expect(shapeFromConfig('gemma', gemma?.config).mixers).toMatchObject([
      { layers: 10, kvHeads: 4, keyDim: 512, window: undefined, valueIsKey: true },
      { layers: 50, kvHeads: 16, keyDim: 256, window: 1024, valueIsKey: false },
    ])
  })

  it('counts experts that no text token visits as weights and not as work', () => {
    const ernie = configs.find(({ name }) => name === 'ernie-4.5-vl-28b-a3b')
    const shape = shapeFromConfig('ernie', ernie?.config)
    expect(
      shape.ffns.map((group) => (group.kind === 'moe' ? [group.experts, group.width, group.topExperts] : [])),
    ).toEqual([[], [64, 1536, 6], [64, 512, 0]])
    expect(countWeights(shape).active / 1e9).toBeLessThan(3.5)
  })

  it("takes a file's own number format: GPTQ, and FP8 beside FP4 experts", () => {
    const format = (wanted: string) =>
      shapeFromConfig(wanted, configs.find(({ name }) => name === wanted)?.config).publishedFormat
    expect(format('gptq-int4')).toBe('int4')
    expect(format('deepseek-v4-flash')).toBe('fp8')
    expect(format('apertus-8b')).toBeUndefined()
  })
})
