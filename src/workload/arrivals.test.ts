import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../core/index.ts'
import {
  arrivalTimesMs,
  levelAt,
  nextTimeAtLevel,
  parseStage,
  stagesDurationMs,
  type ArrivalProcess,
} from './arrivals.ts'
import { meanOf } from './statistics.ts'

function take(process: ArrivalProcess, stages: string[], count: number, seed = 1): number[] {
  return [...arrivalTimesMs(process, stages.map(parseStage), createRandom(seed)).take(count)]
}

function gapsOf(times: readonly number[]): number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? 0))
}

/** Coefficient of variation. */
function variation(values: readonly number[]): number {
  const mean = meanOf(values)
  return Math.sqrt(meanOf(values.map((value) => (value - mean) ** 2))) / mean
}

describe('arrivalTimesMs()', () => {
  it('keeps the mean gap and has the variation that the process names', () => {
    const processes: [ArrivalProcess, number][] = [
      [{ kind: 'constant' }, 0],
      [{ kind: 'poisson' }, 1],
      [{ kind: 'gamma', burstiness: 1 }, 1],
      [{ kind: 'gamma', burstiness: 0.25 }, 2],
      [{ kind: 'gamma', burstiness: 4 }, 0.5],
    ]
    for (const [process, expected] of processes) {
      const gaps = gapsOf(take(process, ['20'], 40_000))
      expect(meanOf(gaps) / 50).toBeCloseTo(1, 1)
      expect(Math.abs(variation(gaps) - expected)).toBeLessThan(0.06)
    }
  })

  it('puts the expected number into each part of a ramp and of its stages', () => {
    const stages = ['0..100:100s', '50:20s', '100..20:50s']
    let [early, late, flat, falling] = [0, 0, 0, 0]
    for (let seed = 0; seed < 20; seed += 1) {
      for (const time of take({ kind: 'poisson' }, stages, 1e6, seed)) {
        if (time < 50_000) early += 1
        else if (time < 100_000) late += 1
        else if (time < 120_000) flat += 1
        else falling += 1
      }
    }
    expect(early / 20 / 1250).toBeCloseTo(1, 1)
    expect(late / 20 / 3750).toBeCloseTo(1, 1)
    expect(flat / 20 / 1000).toBeCloseTo(1, 1)
    expect(falling / 20 / 3000).toBeCloseTo(1, 1)
  })

  it('never goes back in time nor beyond its stages', () => {
    const level = fc.integer({ min: 0, max: 50 })
    const stage = fc
      .record({ from: level, to: level, durationMs: fc.integer({ min: 1, max: 3000 }) })
      .filter(({ from, to }) => from + to > 0)
    fc.assert(
      fc.property(fc.array(stage, { minLength: 1, maxLength: 4 }), fc.nat(), (stages, seed) => {
        const times = [...arrivalTimesMs({ kind: 'poisson' }, stages, createRandom(seed))]
        expect(gapsOf(times).every((gap) => gap >= 0)).toBe(true)
        expect(times.every((time) => time >= 0 && time <= stagesDurationMs(stages) + 1e-6)).toBe(true)
      }),
    )
  })
})

describe('levels of stages', () => {
  it('rise and fall along each stage, and can be asked when they reach a value', () => {
    const stages = ['1..9:8s', '4:5s'].map(parseStage)
    expect(levelAt(stages, 4000)).toBe(5)
    expect(levelAt(stages, 9000)).toBe(4)
    expect(levelAt(stages, 14_000)).toBe(0)
    expect(nextTimeAtLevel(stages, 5, 0)).toBe(4000)
    expect(nextTimeAtLevel(stages, 3, 9000)).toBe(9000)
    expect(nextTimeAtLevel(stages, 6, 9000)).toBeUndefined()
  })

  it('say what is wrong with a text that is no stage', () => {
    for (const text of ['', 'fast', '-1:5s', '5:never', '1..20', '0'])
      expect(() => parseStage(text)).toThrow(/is not understood; write/)
  })
})
