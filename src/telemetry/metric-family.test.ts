import fc from 'fast-check'
import { Counter, Histogram, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { CounterFamily, HistogramFamily } from './metric-family.ts'

const model = fc.constantFrom('nano', 'a "quoted"\nname', '', 'llama')

describe('HistogramFamily', () => {
  it("is scraped exactly as prom-client's own histogram, as text and as JSON", async () => {
    const bounds = [0.001, 0.5, 1, 30]
    const value = fc.oneof(
      fc.constantFrom(0, ...bounds),
      fc.integer({ min: 0, max: 64_000 }).map((n) => n / 1024),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(model, value)), async (observations) => {
        const [ours, theirs] = [new Registry(), new Registry()]
        const description = { name: 'wait_seconds', help: 'Wait', labelNames: ['model_name'] }
        const family = new HistogramFamily(ours, description, bounds)
        const histogram = new Histogram({ ...description, buckets: bounds, registers: [theirs] })
        for (const [name, seconds] of observations) {
          family.observe(family.series(name), seconds)
          histogram.observe({ model_name: name }, seconds)
        }
        expect(await ours.metrics()).toBe(await theirs.metrics())
        expect(samplesOf(await ours.getMetricsAsJSON())).toEqual(samplesOf(await theirs.getMetricsAsJSON()))
      }),
      { numRuns: 100, seed: 1 },
    )
  })

  it('shows nothing for labels that were resolved but never observed', async () => {
    const registry = new Registry()
    const family = new HistogramFamily(registry, { name: 'wait', help: 'Wait', labelNames: ['model_name'] }, [1])
    family.series('nano')
    expect(await registry.metrics()).not.toContain('nano')
  })
})

describe('CounterFamily', () => {
  it("is scraped exactly as prom-client's own counter", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(model, model, fc.nat())), async (additions) => {
        const [ours, theirs] = [new Registry(), new Registry()]
        const description = { name: 'tokens_total', help: 'Tokens', labelNames: ['model_name', 'outcome'] }
        const family = new CounterFamily(ours, description)
        const counter = new Counter({ ...description, registers: [theirs] })
        for (const [name, outcome, amount] of additions) {
          family.add(family.series(name, outcome), amount)
          counter.inc({ model_name: name, outcome }, amount)
        }
        expect(await ours.metrics()).toBe(await theirs.metrics())
      }),
      { numRuns: 100, seed: 1 },
    )
  })

  it('counts label sets beyond 10,000 together, under `other`, and loses none', async () => {
    const registry = new Registry()
    const family = new CounterFamily(registry, { name: 'tokens_total', help: 'Tokens', labelNames: ['model_name'] })
    for (let model = 0; model < 10_005; model += 1) family.add(family.series(`model ${model}`))
    family.add(family.series('model 3'))
    const page = await registry.metrics()
    expect(page).toContain('tokens_total{model_name="model 3"} 2')
    expect(page).toContain('tokens_total{model_name="other"} 5')
    expect(page).not.toContain('model 10000')
  })
})

/** Without what no reader of a page sees. */
function samplesOf(metrics: unknown): unknown {
  return JSON.parse(JSON.stringify(metrics, (key, value: unknown) => (key === 'exemplar' ? undefined : value)))
}
