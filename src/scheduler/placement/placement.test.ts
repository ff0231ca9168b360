import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../../core/index.ts'
import type { PlacementName } from '../options.ts'
import type { ReplicaView } from '../placement.ts'
import { placementPolicies } from './index.ts'

function view(id: string, overrides: Partial<ReplicaView> = {}): ReplicaView {
  return {
    id,
    weight: 1,
    inFlight: 0,
    running: 0,
    waiting: 0,
    kvCacheUsage: undefined,
    loadAgeMs: undefined,
    labels: {},
    ...overrides,
  }
}

const create = (name: PlacementName) => placementPolicies[name](createRandom(7))
const request = { affinityKey: undefined }

/** Places `count` requests that never end, and counts them by replica. */
function fill(name: PlacementName, weights: readonly number[], count: number): number[] {
  const policy = create(name)
  const views = weights.map((weight, at) => ({ ...view(`r${at}`), weight, inFlight: 0 }))
  for (let placed = 0; placed < count; placed += 1) policy.place(request, views).inFlight += 1
  return views.map(({ inFlight }) => inFlight)
}

describe('every placement policy', () => {
  const names = Object.keys(placementPolicies) as PlacementName[]

  it.each(names)('%s returns one of the candidates, whatever they are', (name) => {
    const candidates = fc.array(
      fc.record({
        weight: fc.double({ min: 0.01, max: 100, noNaN: true }),
        inFlight: fc.nat(1000),
        waiting: fc.nat(50),
      }),
      { minLength: 1, maxLength: 8 },
    )
    const policy = create(name)
    fc.assert(
      fc.property(candidates, fc.option(fc.string(), { nil: undefined }), (shapes, affinityKey) => {
        const views = shapes.map((shape, at) => view(`r${at}`, shape))
        expect(views).toContain(policy.place({ affinityKey }, views))
      }),
    )
  })

  it.each(names)('%s shares requests by weight', (name) => {
    const [small = 0, large = 0] = fill(name, [1, 3], 400)
    expect(large / small).toBeGreaterThan(2.4)
    expect(large / small).toBeLessThan(3.7)
  })
})

describe('round-robin', () => {
  it('mixes turns by weight without runs longer than needed', () => {
    const policy = create('round-robin')
    const views = [view('a', { weight: 5 }), view('b'), view('c')]
    const order = Array.from({ length: 7 }, () => policy.place(request, views).id).join('')
    expect(order).toBe('aabacaa')
  })
})

describe('least-in-flight', () => {
  it('takes the least loaded, and goes round among equals', () => {
    const policy = create('least-in-flight')
    expect(policy.place(request, [view('a', { inFlight: 3 }), view('b', { inFlight: 2 })]).id).toBe('b')
    const idle = [view('a'), view('b'), view('c')]
    expect(new Set([1, 2, 3].map(() => policy.place(request, idle).id)).size).toBe(3)
  })

  it('keeps a burst even although no metrics change during it', () => {
    expect(fill('least-in-flight', [1, 1, 1, 1], 100)).toEqual([25, 25, 25, 25])
  })
})

describe('power-of-two', () => {
  it('keeps a burst far more even than chance', () => {
    const counts = fill('power-of-two', [1, 1, 1, 1, 1, 1, 1, 1], 800)
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(10)
  })

  it('never chooses the most loaded of all', () => {
    const policy = create('power-of-two')
    const views = [view('a', { inFlight: 9 }), view('b', { inFlight: 1 }), view('c', { inFlight: 2 })]
    for (let turn = 0; turn < 200; turn += 1) expect(policy.place(request, views).id).not.toBe('a')
  })
})

describe('session-affinity', () => {
  const policy = create('session-affinity')
  const views = ['a', 'b', 'c', 'd'].map((id) => view(id))
  const home = (key: string, candidates: readonly ReplicaView[]) => policy.place({ affinityKey: key }, candidates).id
  const keys = Array.from({ length: 400 }, (_, at) => `session ${at}`)

  it('sends a session to the same replica, and moves only the sessions of one that goes', () => {
    const before = keys.map((key) => home(key, views))
    const after = keys.map((key) => home(key, views.slice(0, 3)))
    keys.forEach((_, at) => {
      if (before[at] !== 'd') expect(after[at]).toBe(before[at])
    })
    expect(new Set(after)).toEqual(new Set(['a', 'b', 'c']))
  })

  it('passes a session on when its home is far above the mean', () => {
    const key = keys.find((candidate) => home(candidate, views) === 'a') ?? ''
    const busy = views.map((replica) => (replica.id === 'a' ? view('a', { inFlight: 20 }) : replica))
    expect(home(key, busy)).not.toBe('a')
    const allBusy = views.map(({ id }) => view(id, { inFlight: 20 }))
    expect(home(key, allBusy)).toBe('a')
  })
})
