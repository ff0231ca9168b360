import { describe, expect, it } from 'vitest'
import { createRandom } from '../../core/index.ts'
import { prefillBudget } from './prefill-budget.ts'
import { LearnedStepModel } from './step-model.ts'

/** A machine: 4 ms a pass, 1.5 ms a sequence, 10 ms for a chunk and 0.8 ms a token of it, with 5 % noise. */
function train(model: LearnedStepModel, steps: number, factor = 1): void {
  const random = createRandom(3)
  for (let step = 0; step < steps; step += 1) {
    const decoding = Math.floor(random() * 17)
    const prefill = random() < 0.5 ? 0 : Math.floor(16 + random() * 300)
    if (decoding + prefill === 0) continue
    const ms = (decoding > 0 ? 4 + 1.5 * decoding : 0) + (prefill > 0 ? 10 + 0.8 * prefill : 0)
    model.observe(decoding, prefill, factor * ms * (0.95 + random() * 0.1))
  }
}

function stepMs(model: LearnedStepModel, decodeSequences: number, prefillTokens: number): number {
  return model.stepMs({ decodeSequences, prefillTokens })
}

describe('LearnedStepModel', () => {
  it('learns what steps cost, and follows a machine that becomes slower', () => {
    const model = new LearnedStepModel()
    train(model, 100)
    expect(stepMs(model, 8, 0)).toBeGreaterThan(14)
    expect(stepMs(model, 8, 0)).toBeLessThan(18)
    expect(Math.abs(stepMs(model, 8, 200) - 186)).toBeLessThan(15)
    train(model, 300, 2)
    expect(Math.abs(stepMs(model, 8, 200) - 2 * 186)).toBeLessThan(40)
  })

  it('is not thrown off by a step that the machine stalled', () => {
    const model = new LearnedStepModel()
    train(model, 100)
    const before = stepMs(model, 8, 0)
    model.observe(8, 0, 5000)
    expect(stepMs(model, 8, 0)).toBeLessThan(before * 1.5)
  })
})

describe('prefillBudget()', () => {
  const model = new LearnedStepModel()
  train(model, 200)
  const situation = { decoding: 16, established: 16, waiting: 1, targetMs: undefined, longestStepMs: 1000 }

  it('keeps the predicted step within the target beside running streams', () => {
    const tokens = prefillBudget(model, { ...situation, targetMs: 90 })
    expect(stepMs(model, 16, tokens)).toBeLessThanOrEqual(90.5)
    expect(stepMs(model, 16, tokens + 2)).toBeGreaterThan(90)
  })

  it('grows with the number that waits for each that streams, up to the longest step', () => {
    const few = prefillBudget(model, { ...situation, decoding: 1, established: 1, waiting: 1, targetMs: 60 })
    const many = prefillBudget(model, { ...situation, decoding: 1, established: 1, waiting: 5, targetMs: 60 })
    expect(many).toBeGreaterThan(4 * few)
    const all = prefillBudget(model, { ...situation, decoding: 1, established: 1, waiting: 5000, targetMs: 60 })
    expect(stepMs(model, 1, all)).toBeLessThanOrEqual(1001)
  })

  it('lets streams that came with the prompts wait for them, and no others', () => {
    const tokens = prefillBudget(model, { ...situation, established: 0, waiting: 8, targetMs: 60 })
    expect(stepMs(model, 16, tokens)).toBeGreaterThan(250)
    expect(stepMs(model, 16, tokens)).toBeLessThanOrEqual(301)
    expect(prefillBudget(model, { ...situation, waiting: 8, targetMs: 60 })).toBeLessThan(tokens / 4)
  })

  it('lets prompts advance even where steps are over their target already', () => {
    expect(prefillBudget(model, { ...situation, targetMs: 1 })).toBe(8)
  })
})
