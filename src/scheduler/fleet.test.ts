import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRandom, TokenmillError, VirtualClock, type ErrorCode, type ErrorDetails } from '../core/index.ts'
import type { Engine, EngineStatus } from '../inference/index.ts'
import { Fleet, type Attempt, type ModelRoute } from './fleet.ts'
import { placementPolicies } from './placement/index.ts'
import { Replica } from './replica.ts'
import { RetryBudget } from './retry-budget.ts'

const breakerLimits = {
  failuresToOpen: 3,
  failureShareToOpen: 0.5,
  windowRequests: 20,
  openMs: 5000,
  maxOpenMs: 60_000,
  trialsToClose: 2,
}

/** An engine whose health the test sets; what it answers, the test's `run` decides. */
function stubEngine(name: string): Engine & { state: EngineStatus['state'] } {
  return {
    endpoint: name,
    state: 'ready',
    models: () => [],
    status() {
      return {
        state: this.state,
        loadProgress: 1,
        running: 0,
        waiting: 0,
        kvCacheUsage: undefined,
        prefixCache: undefined,
        preemptions: undefined,
      }
    },
    ready: () => Promise.resolve(),
    generate: () => {
      throw new Error('not asked here')
    },
    close: () => Promise.resolve(),
  }
}

function build(models: Readonly<Record<string, readonly string[]>>, overrides: Partial<ModelRoute> = {}) {
  const clock = new VirtualClock()
  const fleet = new Fleet(clock, createRandom(3))
  const engines = new Map<string, ReturnType<typeof stubEngine>>()
  const replicas = new Map<string, Replica>()
  const routes = Object.entries(models).map(([name, ids]): ModelRoute => {
    const route: ModelRoute = {
      name,
      replicas: ids.map((id) => {
        const engine = stubEngine(id)
        engines.set(id, engine)
        const replica = new Replica({ id, engine, weight: 1, labels: {} }, breakerLimits, clock)
        replicas.set(id, replica)
        return replica
      }),
      placement: placementPolicies['least-in-flight'](createRandom(1)),
      budget: new RetryBudget({ retriesPerRequest: 0.2, retriesPerSecond: 10, maxSaved: 100 }, clock),
      timeouts: { firstTokenMs: 1000, totalMs: 30_000 },
      maxAttempts: 3,
      maxRetryWaitMs: 2000,
      fallbacks: [],
    }
    return Object.assign(route, overrides)
  })
  fleet.setRoutes(routes)
  const replica = (id: string): Replica => {
    const found = replicas.get(id)
    if (found === undefined) throw new Error(id)
    return found
  }
  return { clock, fleet, engines, replica, routes }
}

const request = (model = 'm') => ({ model, affinityKey: undefined, capable: () => true })
const never = new AbortController().signal
const fail = (code: ErrorCode, details: ErrorDetails = {}) => new TokenmillError(code, code, details)

/** Fails by replica as told; notes the order. Undefined serves. */
function script(answers: Readonly<Record<string, TokenmillError | undefined>>) {
  const order: string[] = []
  const run = (attempt: Attempt): Promise<string> => {
    order.push(attempt.replica.id)
    const error = answers[attempt.replica.id]
    return error === undefined ? Promise.resolve(attempt.replica.id) : Promise.reject(error)
  }
  return { order, run }
}

/** Waits for the end of an attempt's signal and throws its reason, as an engine that never answers does. */
const hang = (attempt: Attempt): Promise<never> =>
  new Promise((_resolve, reject) => {
    attempt.signal.addEventListener('abort', () => reject(attempt.signal.reason as Error))
  })

const outcome = (promise: Promise<unknown>): Promise<TokenmillError | 'served'> =>
  promise.then(
    () => 'served' as const,
    (error: unknown) => error as TokenmillError,
  )

describe('Fleet.dispatch()', () => {
  it('tries another replica before the first output, and none after it', async () => {
    const { fleet } = build({ m: ['a', 'b'] })
    const { order, run } = script({ a: fail('upstream_failed') })
    expect(await fleet.dispatch(request(), never, run)).toBe('b')
    expect(order).toEqual(['a', 'b'])
    const late = await outcome(
      fleet.dispatch(request(), never, (attempt) => {
        order.push(attempt.replica.id)
        attempt.commit()
        return Promise.reject(fail('upstream_failed'))
      }),
    )
    expect(late).toMatchObject({ code: 'upstream_failed' })
    expect(order).toHaveLength(3)
  })

  it('does not repeat what is the fault of the request', async () => {
    const { fleet } = build({ m: ['a', 'b'] })
    const { order, run } = script({ a: fail('invalid_request'), b: fail('invalid_request') })
    expect(await outcome(fleet.dispatch(request(), never, run))).toMatchObject({ code: 'invalid_request' })
    expect(order).toHaveLength(1)
  })

  it('never takes the same replica twice in a row while another is healthy', async () => {
    const { fleet } = build({ m: ['a', 'b'] }, { maxAttempts: 6 })
    const { order, run } = script({ a: fail('upstream_failed'), b: fail('upstream_failed') })
    await outcome(fleet.dispatch(request(), never, run))
    order.slice(1).forEach((id, at) => expect(id).not.toBe(order[at]))
    expect(order.length).toBeGreaterThan(2)
  })

  it('waits a little before the only replica gets the request again', async () => {
    const { fleet, clock } = build({ m: ['a'] })
    let tries = 0
    const result = fleet.dispatch(request(), never, () => {
      tries += 1
      return tries === 1 ? Promise.reject(fail('upstream_failed')) : Promise.resolve('served')
    })
    await clock.advance(40)
    expect(tries).toBe(1)
    await clock.advance(120)
    expect(await result).toBe('served')
  })

  it('gives a replica up that shows no first token in time, and asks the next', async () => {
    const { fleet, clock } = build({ m: ['a', 'b'] })
    const order: string[] = []
    const result = fleet.dispatch(request(), never, (attempt) => {
      order.push(`${attempt.replica.id}@${clock.now()}`)
      return attempt.replica.id === 'a' ? hang(attempt) : Promise.resolve('served')
    })
    await clock.advance(1000)
    expect(await result).toBe('served')
    expect(order).toEqual(['a@0', 'b@1000'])
  })

  it('ends a request at its total time, first token or not', async () => {
    const { fleet, clock } = build({ m: ['a'] })
    const result = outcome(
      fleet.dispatch(request(), never, (attempt) => {
        attempt.commit()
        return hang(attempt)
      }),
    )
    await clock.advance(30_000)
    expect(await result).toMatchObject({ code: 'deadline_exceeded' })
  })

  it('turns to fallback models in their order, only when the model itself cannot serve', async () => {
    const { fleet } = build(
      { m: ['a'], second: ['b'], third: ['c'] },
      { fallbacks: ['second', 'third'], maxAttempts: 1 },
    )
    const { order, run } = script({ a: fail('unavailable'), b: fail('upstream_timeout') })
    expect(await fleet.dispatch(request(), never, run)).toBe('c')
    expect(order).toEqual(['a', 'b', 'c'])
    expect(await fleet.dispatch(request('third'), never, run)).toBe('c')
  })

  it('obeys Retry-After: no request goes there before its time', async () => {
    const { fleet, clock } = build({ m: ['a', 'b'] })
    const busy = script({ a: fail('rate_limited', { retryAfterMs: 3000 }) })
    await fleet.dispatch(request(), never, busy.run)
    const { order, run } = script({})
    for (let at = 0; at < 4; at += 1) await fleet.dispatch(request(), never, run)
    expect(order).toEqual(['b', 'b', 'b', 'b'])
    await clock.advance(3000)
    for (let at = 0; at < 2; at += 1) await fleet.dispatch(request(), never, run)
    expect(order.slice(4)).toContain('a')
  })

  it('waits for a short Retry-After where everybody pauses, and tells the client of a long one with 429', async () => {
    const { fleet, clock } = build({ m: ['a'] })
    const starts: number[] = []
    const short = fleet.dispatch(request(), never, () => {
      starts.push(clock.now())
      return starts.length === 1 ? Promise.reject(fail('rate_limited', { retryAfterMs: 1500 })) : Promise.resolve(1)
    })
    await clock.advance(1500)
    expect(await short).toBe(1)
    expect(starts).toEqual([0, 1500])
    const { run } = script({ a: fail('rate_limited', { retryAfterMs: 20_000 }) })
    const refused = await outcome(fleet.dispatch(request(), never, run))
    expect(refused).toMatchObject({ code: 'rate_limited', details: { retryAfterMs: 20_000 } })
    expect(await outcome(fleet.dispatch(request(), never, run))).toMatchObject({ code: 'rate_limited' })
  })

  it('does not name an endpoint twice that its error names', async () => {
    const { fleet } = build({ m: ['http://a:1', 'http://b:1'] })
    const run = ({ replica }: Attempt): never => {
      throw new TokenmillError('upstream_failed', `The endpoint ${replica.id} refuses connections.`)
    }
    expect(await outcome(fleet.dispatch(request(), never, run))).toMatchObject({
      message: expect.stringMatching(/now\. The endpoint \S+ refuses connections\.; The endpoint/) as string,
    })
  })

  it('says 503, not 429, when all endpoints are down, with what each of them said', async () => {
    const { fleet, engines } = build({ m: ['a', 'b'] })
    const { run } = script({ a: fail('upstream_failed'), b: fail('upstream_failed') })
    expect(await outcome(fleet.dispatch(request(), never, run))).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/a: .*b: /) as string,
    })
    for (const engine of engines.values()) engine.state = 'unavailable'
    const { order, run: untouched } = script({})
    expect(await outcome(fleet.dispatch(request(), never, untouched))).toMatchObject({ code: 'unavailable' })
    expect(order).toEqual([])
  })

  it('stops asking a replica whose breaker is open, and brings it back by single trials', async () => {
    const { fleet, clock, replica } = build({ m: ['a', 'b'] })
    let broken = true
    const order: string[] = []
    const run = (attempt: Attempt) => {
      order.push(attempt.replica.id)
      return attempt.replica.id === 'a' && broken ? Promise.reject(fail('upstream_failed')) : Promise.resolve(1)
    }
    for (let at = 0; at < 10; at += 1) await fleet.dispatch(request(), never, run)
    expect(order.filter((id) => id === 'a')).toHaveLength(3)
    expect(replica('a').breaker.state).toBe('open')
    broken = false
    await clock.advance(5000)
    for (let at = 0; at < 6; at += 1) await fleet.dispatch(request(), never, run)
    expect(replica('a').breaker.state).toBe('closed')
  })

  it('waits for the end of a trial by looking now and then, not in a circle', async () => {
    const { fleet, clock, replica } = build({ m: ['a', 'b'] })
    for (let failures = 0; failures < 3; failures += 1) replica('b').acquire()(fail('upstream_failed'))
    await clock.advance(5000)
    const trial = replica('b').acquire()
    for (let failures = 0; failures < 2; failures += 1) replica('a').acquire()(fail('upstream_failed'))
    // Its failure ejects a; b is on trial and may be free at any moment: time has to pass meanwhile.
    const refused = outcome(fleet.dispatch(request(), never, () => Promise.reject(fail('upstream_failed'))))
    await clock.advance(3000)
    expect(await refused).toMatchObject({ code: 'unavailable' })
    trial(undefined)
  })

  it('lets load grow by no more than the retry budget while everything fails', async () => {
    const { clock, replica, ...rest } = build({ m: ['a', 'b', 'c'] })
    const [route] = rest.routes
    if (route === undefined) throw new Error('no route')
    const budget = new RetryBudget({ retriesPerRequest: 0.2, retriesPerSecond: 1, maxSaved: 100 }, clock)
    // Breakers that never open show the budget alone.
    const replicas = ['a', 'b', 'c'].map(
      (id) =>
        new Replica(
          { id, engine: replica(id).engine, weight: 1, labels: {} },
          { ...breakerLimits, failuresToOpen: 1e9, failureShareToOpen: 2 },
          clock,
        ),
    )
    rest.fleet.setRoutes([{ ...route, replicas, budget }])
    let attempts = 0
    const run = () => {
      attempts += 1
      return Promise.reject(fail('upstream_failed'))
    }
    for (let requests = 0; requests < 100; requests += 1) await outcome(rest.fleet.dispatch(request(), never, run))
    expect(attempts).toBeGreaterThanOrEqual(120)
    expect(attempts).toBeLessThanOrEqual(122)
  })

  it('ends at once when the client leaves, also while it waits to try again, and blames no replica', async () => {
    const { fleet, clock, replica } = build({ m: ['a'] })
    for (let clients = 0; clients < 10; clients += 1) {
      const client = new AbortController()
      const result = outcome(fleet.dispatch(request(), client.signal, hang))
      await clock.advance(10)
      client.abort(fail('cancelled'))
      expect(await result).toMatchObject({ code: 'cancelled' })
    }
    expect(replica('a').breaker.state).toBe('closed')
    const client = new AbortController()
    const waiting = outcome(fleet.dispatch(request(), client.signal, () => Promise.reject(fail('upstream_failed'))))
    await clock.advance(10)
    client.abort(fail('cancelled'))
    expect(await waiting).toMatchObject({ code: 'cancelled' })
  })

  it('drains: no new requests, and those under way end', async () => {
    const { fleet, clock, replica } = build({ m: ['a', 'b'] })
    let finish: () => void = () => undefined
    const first = fleet.dispatch(
      request(),
      never,
      (attempt) =>
        new Promise<string>((resolve) => {
          finish = () => resolve(attempt.replica.id)
        }),
    )
    await clock.advance(0)
    let drained = false
    void replica('a')
      .drain(60_000)
      .then(() => (drained = true))
    const { order, run } = script({})
    for (let at = 0; at < 3; at += 1) await fleet.dispatch(request(), never, run)
    expect(order).toEqual(['b', 'b', 'b'])
    expect(drained).toBe(false)
    finish()
    expect(await first).toBe('a')
    await clock.advance(0)
    expect(drained).toBe(true)
  })

  it('keeps those under way on their old routes when new ones are set', async () => {
    const { fleet, clock, routes } = build({ m: ['a'] })
    let finish: () => void = () => undefined
    const under = fleet.dispatch(
      request(),
      never,
      () => new Promise<string>((resolve) => (finish = () => resolve('old'))),
    )
    await clock.advance(0)
    const [route] = routes
    fleet.setRoutes(route === undefined ? [] : [{ ...route, name: 'renamed' }])
    expect(await outcome(fleet.dispatch(request(), never, () => Promise.resolve(1)))).toMatchObject({
      code: 'model_not_found',
      details: { available: ['renamed'] },
    })
    finish()
    expect(await under).toBe('old')
  })

  it('counts every request in and out exactly once, whatever happens and in whatever order', async () => {
    const event = fc.record({
      afterMs: fc.nat(2000),
      kind: fc.constantFrom('serve', 'fail', 'busy', 'commit-and-fail', 'hang', 'invalid'),
      leaveAfterMs: fc.option(fc.nat(3000), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 25 }), async (events) => {
        const { fleet, clock, replica } = build({ m: ['a', 'b', 'c'] })
        let ended = 0
        for (const { afterMs, kind, leaveAfterMs } of events) {
          await clock.advance(afterMs)
          const client = new AbortController()
          if (leaveAfterMs !== undefined) clock.schedule(leaveAfterMs, () => client.abort(fail('cancelled')))
          const run = async (attempt: Attempt): Promise<unknown> => {
            if (kind === 'hang') return await hang(attempt)
            if (kind === 'commit-and-fail') attempt.commit()
            if (kind === 'serve') return 1
            throw fail(kind === 'busy' ? 'rate_limited' : kind === 'invalid' ? 'invalid_request' : 'upstream_failed')
          }
          void outcome(fleet.dispatch(request(), client.signal, run)).then(() => (ended += 1))
        }
        await clock.advance(100_000)
        expect(ended).toBe(events.length)
        for (const id of ['a', 'b', 'c']) expect(replica(id).inFlight).toBe(0)
      }),
      { numRuns: 60 },
    )
  })
})
