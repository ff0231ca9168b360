import { describe, expect, it } from 'vitest'
import { createRandom, defaultValues, VirtualClock } from '../../src/core/index.ts'
import { placementPolicies, Replica } from '../../src/scheduler/index.ts'
import { fleetOptions, type PlacementName } from '../../src/scheduler/options.ts'
import { linearStepModel, SimulatedEngine } from '../../src/simulation/index.ts'
import { arrivalTimesMs, quantileOf } from '../../src/workload/index.ts'
import { createRequest } from '../support/generation-request.ts'

/** Two simulated replicas behind the real policies, on the virtual clock: minutes of load in a moment. */
interface Load {
  /** Time of each replica's steps over that of the first. */
  readonly slowness: readonly number[]
  readonly ratePerS: number
  /** Requests are turns of so many conversations, each of which repeats what came before. */
  readonly conversations: number
}

const requests = 300

function createReplica(clock: VirtualClock, id: string, slowness: number): Replica {
  const model = linearStepModel({
    baseMs: 8 * slowness,
    perSequenceMs: 0.2 * slowness,
    perPrefillTokenMs: 0.05 * slowness,
  })
  const kv = { blockTokens: 16, blocks: 3000, cachedBlocks: undefined }
  const timing = { kind: 'steps' as const, model, prefillTokensPerStep: 512, maxRunning: 16, kv }
  const engine = new SimulatedEngine({ name: id, models: ['sim'], contextTokens: 8192, timing }, clock)
  return new Replica({ id, engine, weight: 1, labels: {} }, () => defaultValues(fleetOptions), clock)
}

/** What a policy makes of a load: under one seed, arrivals and prompts are the same for every policy. */
async function simulate(name: PlacementName, { slowness, ratePerS, conversations }: Load, seed = 1) {
  const clock = new VirtualClock()
  const replicas = slowness.map((factor, index) => createReplica(clock, `replica-${index}`, factor))
  const policy = placementPolicies[name](createRandom(seed))
  const ttftMs: number[] = []
  const serve = async (ordinal: number): Promise<void> => {
    const conversation = ordinal % conversations
    const length = 300 + 30 * Math.floor(ordinal / conversations)
    const tokens = Array.from({ length }, (_, index) => 100_000 * conversation + index)
    const replica = policy.place({ affinityKey: `conversation-${conversation}` }, replicas)
    const release = replica.acquire()
    const atMs = clock.now()
    const input = { kind: 'tokens' as const, tokens }
    const request = createRequest({ id: `request-${ordinal}`, model: 'sim', maxTokens: 60, input })
    for await (const event of replica.engine.generate(request, new AbortController().signal))
      if (event.type === 'prefilled') ttftMs[ordinal] = clock.now() - atMs
    release()
  }
  const stages = [{ from: ratePerS, to: ratePerS, durationMs: Infinity }]
  const arrivals = arrivalTimesMs({ kind: 'poisson' }, stages, createRandom(seed))
  const served: Promise<void>[] = []
  for (let ordinal = 0; ordinal < requests; ordinal += 1) {
    const atMs = arrivals.next().value ?? 0
    clock.schedule(atMs, () => served.push(serve(ordinal)))
  }
  await clock.advance(3_600_000)
  await Promise.all(served)
  const lookups = replicas.map(({ engine }) => engine.status().prefixCache)
  const sum = (key: 'queries' | 'hits') => lookups.reduce((total, each) => total + (each?.[key] ?? 0), 0)
  return { ttftMs, ttftMsP90: quantileOf(ttftMs, 0.9), hitShare: sum('hits') / sum('queries'), replicas }
}

describe('placement policies over two simulated replicas', () => {
  it('serve every request, and leave the replicas empty', async () => {
    for (const name of Object.keys(placementPolicies) as PlacementName[]) {
      const { ttftMs, replicas } = await simulate(name, { slowness: [1, 1], ratePerS: 30, conversations: 20 })
      expect(ttftMs.filter((ms) => ms > 0)).toHaveLength(requests)
      for (const { inFlight, engine } of replicas) {
        expect(inFlight).toBe(0)
        expect(engine.status()).toMatchObject({ running: 0, waiting: 0, kvCacheUsage: 0 })
      }
    }
  })

  it('repeat themselves to the millisecond under a seed', async () => {
    const load = { slowness: [1, 2], ratePerS: 30, conversations: 20 }
    const { ttftMs } = await simulate('power-of-two', load, 7)
    expect((await simulate('power-of-two', load, 7)).ttftMs).toEqual(ttftMs)
    expect((await simulate('power-of-two', load, 8)).ttftMs).not.toEqual(ttftMs)
  })

  it('beat taking turns where one replica is slower, if they look at the load', async () => {
    const load = { slowness: [1, 3], ratePerS: 25, conversations: requests }
    const turns = await simulate('round-robin', load)
    for (const name of ['least-in-flight', 'power-of-two'] as const)
      expect((await simulate(name, load)).ttftMsP90).toBeLessThan(0.7 * turns.ttftMsP90)
  })

  it('find more of a conversation in the cache when its turns stay together', async () => {
    const load = { slowness: [1, 1], ratePerS: 20, conversations: 25 }
    const apart = await simulate('round-robin', load)
    const together = await simulate('session-affinity', load)
    expect(together.hitShare).toBeGreaterThan(apart.hitShare + 0.03)
  })
})
