import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createWorkItem } from '../../tests/support/work-item.ts'
import { createRandom, TokenmillError, VirtualClock, type ErrorCode, type ErrorDetails } from '../core/index.ts'
import type { Engine, EngineStatus, RequestExtension } from '../inference/index.ts'
import type { BreakerLimits } from './breaker.ts'
import { Dispatcher, type Attempt } from './dispatcher.ts'
import { ModelPool, type ModelRoute, type PoolLimits } from './model-pool.ts'
import { placementPolicies } from './placement/index.ts'
import { Replica } from './replica.ts'
import type { WorkItem } from './work-item.ts'

const breakerLimits = {
  failuresToOpen: 3,
  failureShareToOpen: 0.5,
  windowRequests: 20,
  openMs: 5000,
  maxOpenMs: 60_000,
  trialsToClose: 2,
}

const poolLimits: PoolLimits = {
  maxInFlight: 1000,
  maxQueue: 8,
  maxQueueWaitMs: 10_000,
  firstTokenMs: 1000,
  totalMs: 30_000,
  maxAttempts: 3,
  maxRetryWaitMs: 2000,
  retriesPerRequest: 0.2,
  retriesPerSecond: 10,
  maxContinuationBytes: 0,
}

/** An engine whose health the test sets; what it answers, the test's `run` decides. */
function stubEngine(
  name: string,
): Engine & { state: EngineStatus['state']; extensions?: ReadonlySet<RequestExtension> } {
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

interface Built {
  readonly clock: VirtualClock
  /** Dispatches to a model by its name. */
  readonly dispatch: <T>(item: WorkItem, signal: AbortSignal, run: (attempt: Attempt) => Promise<T>) => Promise<T>
  readonly engines: ReadonlyMap<string, ReturnType<typeof stubEngine>>
  readonly replica: (id: string) => Replica
  readonly pool: (model: string) => ModelPool
}

function build(
  models: Readonly<Record<string, readonly string[]>>,
  overrides: Partial<PoolLimits> & { readonly fallbacks?: readonly string[] } = {},
  breaker: BreakerLimits = breakerLimits,
): Built {
  const clock = new VirtualClock()
  const engines = new Map<string, ReturnType<typeof stubEngine>>()
  const replicas = new Map<string, Replica>()
  const { fallbacks = [], ...limits } = overrides
  const routes = Object.entries(models).map(([name, ids]): ModelRoute => {
    const open = (id: string): Replica => {
      const engine = stubEngine(id)
      engines.set(id, engine)
      const replica = new Replica({ id, engine, weight: 1, labels: {} }, () => breaker, clock)
      replicas.set(id, replica)
      return replica
    }
    const settings = {
      replicas: ids.map(open),
      placement: placementPolicies['least-in-flight'](createRandom(1)),
      limits: { ...poolLimits, ...limits },
      fallbacks: name === 'm' ? fallbacks : [],
    }
    return { name, pool: new ModelPool(name, settings, clock), alias: false }
  })
  const route = (model: string): ModelRoute => found(routes.find(({ name }) => name === model))
  const dispatcher = new Dispatcher(route, clock, createRandom(3), () => undefined)
  return {
    clock,
    engines,
    dispatch: (item, signal, run) => dispatcher.dispatch(route(item.model), item, signal, run),
    replica: (id) => found(replicas.get(id)),
    pool: (model) => route(model).pool,
  }
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('The test names something that it did not build.')
  return value
}

const request = (model = 'm'): WorkItem => createWorkItem({ model })
const patient = new AbortController().signal
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

describe('Dispatcher.dispatch()', () => {
  it('tries another replica before the first output, and none after it', async () => {
    const { dispatch } = build({ m: ['a', 'b'] })
    const { order, run } = script({ a: fail('upstream_failed') })
    expect(await dispatch(request(), patient, run)).toBe('b')
    expect(order).toEqual(['a', 'b'])
    const late = await outcome(
      dispatch(request(), patient, (attempt) => {
        order.push(attempt.replica.id)
        attempt.commit()
        return Promise.reject(fail('upstream_failed'))
      }),
    )
    expect(late).toMatchObject({ code: 'upstream_failed' })
    expect(order).toHaveLength(3)
  })

  it('does not repeat what is the fault of the request', async () => {
    const { dispatch } = build({ m: ['a', 'b'] })
    const { order, run } = script({ a: fail('invalid_request'), b: fail('invalid_request') })
    expect(await outcome(dispatch(request(), patient, run))).toMatchObject({ code: 'invalid_request' })
    expect(order).toHaveLength(1)
  })

  it('never takes the same replica twice in a row while another is healthy', async () => {
    const { dispatch } = build({ m: ['a', 'b'] }, { maxAttempts: 6 })
    const { order, run } = script({ a: fail('upstream_failed'), b: fail('upstream_failed') })
    await outcome(dispatch(request(), patient, run))
    order.slice(1).forEach((id, at) => expect(id).not.toBe(order[at]))
    expect(order.length).toBeGreaterThan(2)
  })

  it('waits a little before the only replica gets the request again', async () => {
    const { dispatch, clock } = build({ m: ['a'] })
    let tries = 0
    const result = dispatch(request(), patient, () => {
      tries += 1
      return tries === 1 ? Promise.reject(fail('upstream_failed')) : Promise.resolve('served')
    })
    await clock.advance(40)
    expect(tries).toBe(1)
    await clock.advance(120)
    expect(await result).toBe('served')
  })

  it('gives a replica up that shows no first token in time, and asks the next', async () => {
    const { dispatch, clock } = build({ m: ['a', 'b'] })
    const order: string[] = []
    const result = dispatch(request(), patient, (attempt) => {
      order.push(`${attempt.replica.id}@${clock.now()}`)
      return attempt.replica.id === 'a' ? hang(attempt) : Promise.resolve('served')
    })
    await clock.advance(1000)
    expect(await result).toBe('served')
    expect(order).toEqual(['a@0', 'b@1000'])
  })

  it('ends a request at its total time, first token or not', async () => {
    const { dispatch, clock } = build({ m: ['a'] })
    const result = outcome(
      dispatch(request(), patient, (attempt) => {
        attempt.commit()
        return hang(attempt)
      }),
    )
    await clock.advance(30_000)
    expect(await result).toMatchObject({ code: 'deadline_exceeded' })
  })

  it('turns to fallback models in their order, only when the model itself cannot serve', async () => {
    const { dispatch } = build(
      { m: ['a'], second: ['b'], third: ['c'] },
      { fallbacks: ['second', 'third'], maxAttempts: 1 },
    )
    const { order, run } = script({ a: fail('unavailable'), b: fail('upstream_timeout') })
    expect(await dispatch(request(), patient, run)).toBe('c')
    expect(order).toEqual(['a', 'b', 'c'])
    expect(await dispatch(request('third'), patient, run)).toBe('c')
  })

  it('obeys Retry-After: no request goes there before its time', async () => {
    const { dispatch, clock } = build({ m: ['a', 'b'] })
    const busy = script({ a: fail('rate_limited', { retryAfterMs: 3000 }) })
    await dispatch(request(), patient, busy.run)
    const { order, run } = script({})
    for (let at = 0; at < 4; at += 1) await dispatch(request(), patient, run)
    expect(order).toEqual(['b', 'b', 'b', 'b'])
    await clock.advance(3000)
    for (let at = 0; at < 2; at += 1) await dispatch(request(), patient, run)
    expect(order.slice(4)).toContain('a')
  })

  it('pauses no engine that runs here: it says for each request whether it can take it', async () => {
    const { dispatch, engines } = build({ m: ['a'] }, { maxAttempts: 1 })
    Object.assign(found(engines.get('a')), { loadsModel: true })
    const { run } = script({ a: fail('queue_full', { retryAfterMs: 1000 }) })
    expect(await outcome(dispatch(request(), patient, run))).toMatchObject({ code: 'queue_full' })
    expect(await outcome(dispatch(request(), patient, () => Promise.resolve(1)))).toBe('served')
  })

  it('waits for a short Retry-After where everybody pauses, and tells the client of a long one with 429', async () => {
    const { dispatch, clock } = build({ m: ['a'] })
    const starts: number[] = []
    const short = dispatch(request(), patient, () => {
      starts.push(clock.now())
      return starts.length === 1 ? Promise.reject(fail('rate_limited', { retryAfterMs: 1500 })) : Promise.resolve(1)
    })
    await clock.advance(1500)
    expect(await short).toBe(1)
    expect(starts).toEqual([0, 1500])
    const { run } = script({ a: fail('rate_limited', { retryAfterMs: 20_000 }) })
    const refused = await outcome(dispatch(request(), patient, run))
    expect(refused).toMatchObject({ code: 'rate_limited', details: { retryAfterMs: 20_000 } })
    expect(await outcome(dispatch(request(), patient, run))).toMatchObject({ code: 'rate_limited' })
  })

  it('does not name an endpoint twice that its error names', async () => {
    const { dispatch } = build({ m: ['http://a:1', 'http://b:1'] })
    const run = ({ replica }: Attempt): never => {
      throw new TokenmillError('upstream_failed', `The endpoint ${replica.id} refuses connections.`)
    }
    expect(await outcome(dispatch(request(), patient, run))).toMatchObject({
      message: expect.stringMatching(/now\. The endpoint \S+ refuses connections\.; The endpoint/) as string,
    })
  })

  it('says 503, not 429, when all endpoints are down, with what each of them said', async () => {
    const { dispatch, engines } = build({ m: ['a', 'b'] })
    const { run } = script({ a: fail('upstream_failed'), b: fail('upstream_failed') })
    expect(await outcome(dispatch(request(), patient, run))).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/a: .*b: /) as string,
    })
    for (const engine of engines.values()) engine.state = 'unavailable'
    const { order, run: untouched } = script({})
    expect(await outcome(dispatch(request(), patient, untouched))).toMatchObject({ code: 'unavailable' })
    expect(order).toEqual([])
  })

  it('stops asking a replica whose breaker is open, and brings it back by single trials', async () => {
    const { dispatch, clock, replica } = build({ m: ['a', 'b'] })
    let broken = true
    const order: string[] = []
    const run = (attempt: Attempt) => {
      order.push(attempt.replica.id)
      return attempt.replica.id === 'a' && broken ? Promise.reject(fail('upstream_failed')) : Promise.resolve(1)
    }
    for (let at = 0; at < 10; at += 1) await dispatch(request(), patient, run)
    expect(order.filter((id) => id === 'a')).toHaveLength(3)
    expect(replica('a').breaker.state).toBe('open')
    broken = false
    await clock.advance(5000)
    for (let at = 0; at < 6; at += 1) await dispatch(request(), patient, run)
    expect(replica('a').breaker.state).toBe('closed')
  })

  it('waits for the end of a trial by looking now and then, not in a circle', async () => {
    const { dispatch, clock, replica } = build({ m: ['a', 'b'] })
    for (let failures = 0; failures < 3; failures += 1) replica('b').acquire()(fail('upstream_failed'))
    await clock.advance(5000)
    const trial = replica('b').acquire()
    for (let failures = 0; failures < 2; failures += 1) replica('a').acquire()(fail('upstream_failed'))
    // Its failure ejects a; b is on trial and may be free at any moment: time has to pass meanwhile.
    const refused = outcome(dispatch(request(), patient, () => Promise.reject(fail('upstream_failed'))))
    await clock.advance(3000)
    expect(await refused).toMatchObject({ code: 'unavailable' })
    trial(undefined)
  })

  it('lets load grow by no more than the retry budget while everything fails', async () => {
    // Breakers that never open show the budget alone.
    const never = { ...breakerLimits, failuresToOpen: 1e9, failureShareToOpen: 2 }
    const { dispatch } = build({ m: ['a', 'b', 'c'] }, { retriesPerSecond: 1 }, never)
    let attempts = 0
    const run = () => {
      attempts += 1
      return Promise.reject(fail('upstream_failed'))
    }
    for (let requests = 0; requests < 100; requests += 1) await outcome(dispatch(request(), patient, run))
    expect(attempts).toBeGreaterThanOrEqual(120)
    expect(attempts).toBeLessThanOrEqual(122)
  })

  it('ends at once when the client leaves, also while it waits to try again, and blames no replica', async () => {
    const { dispatch, clock, replica } = build({ m: ['a'] })
    for (let clients = 0; clients < 10; clients += 1) {
      const client = new AbortController()
      const result = outcome(dispatch(request(), client.signal, hang))
      await clock.advance(10)
      client.abort(fail('cancelled'))
      expect(await result).toMatchObject({ code: 'cancelled' })
    }
    expect(replica('a').breaker.state).toBe('closed')
    const client = new AbortController()
    const waiting = outcome(dispatch(request(), client.signal, () => Promise.reject(fail('upstream_failed'))))
    await clock.advance(10)
    client.abort(fail('cancelled'))
    expect(await waiting).toMatchObject({ code: 'cancelled' })
  })

  it('drains: no new requests, and those under way end', async () => {
    const { dispatch, clock, replica } = build({ m: ['a', 'b'] })
    let finish: () => void = () => undefined
    const first = dispatch(
      request(),
      patient,
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
    for (let at = 0; at < 3; at += 1) await dispatch(request(), patient, run)
    expect(order).toEqual(['b', 'b', 'b'])
    expect(drained).toBe(false)
    finish()
    expect(await first).toBe('a')
    await clock.advance(0)
    expect(drained).toBe(true)
  })

  it('keeps those under way on their replica when a pool gets others', async () => {
    const { dispatch, clock, pool, replica } = build({ m: ['a'], other: ['b'] })
    let finish: () => void = () => undefined
    const under = dispatch(request(), patient, () => new Promise<string>((resolve) => (finish = () => resolve('old'))))
    await clock.advance(0)
    const { placement, limits, fallbacks } = pool('m')
    pool('m').update({ replicas: [replica('b')], placement, limits, fallbacks })
    expect(await dispatch(request(), patient, ({ replica: { id } }) => Promise.resolve(id))).toBe('b')
    finish()
    expect(await under).toBe('old')
    expect(replica('a').inFlight).toBe(0)
  })

  it('waits in the queue of a full model in order, and tells how long', async () => {
    const { dispatch, clock } = build({ m: ['a', 'b'] }, { maxInFlight: 1 })
    const finish: (() => void)[] = []
    const waits: number[] = []
    const run = ({ queuedMs }: Attempt) => {
      waits.push(queuedMs)
      return new Promise<void>((resolve) => finish.push(resolve))
    }
    const both = [dispatch(request(), patient, run), dispatch(request(), patient, run)]
    await clock.advance(400)
    expect(waits).toEqual([0])
    finish[0]?.()
    await clock.advance(0)
    expect(waits).toEqual([0, 400])
    finish[1]?.()
    await Promise.all(both)
  })

  it('runs a fallback under the permit of its own model, and gives back that of the model asked for', async () => {
    const { dispatch, clock, pool } = build({ m: ['a'], second: ['b'] }, { fallbacks: ['second'], maxInFlight: 1 })
    const { run: fails } = script({ a: fail('unavailable') })
    let finish: () => void = () => undefined
    const first = dispatch(request(), patient, (attempt) =>
      attempt.replica.id === 'a' ? fails(attempt) : new Promise<string>((resolve) => (finish = () => resolve('b'))),
    )
    await clock.advance(5000)
    expect([pool('m').admission.running, pool('second').admission.running]).toEqual([0, 1])
    const started: string[] = []
    const second = dispatch(request('second'), patient, ({ replica: { id } }) => Promise.resolve(started.push(id)))
    await clock.advance(0)
    expect(started).toEqual([])
    expect(pool('second').admission.waiting).toBe(1)
    finish()
    expect(await first).toBe('b')
    await second
    expect(started).toEqual(['b'])
  })

  it('turns to a fallback when its own queue is full, and says so where that cannot serve either', async () => {
    const { dispatch, clock, engines } = build(
      { m: ['a'], second: ['b'] },
      { fallbacks: ['second'], maxInFlight: 1, maxQueue: 0 },
    )
    let finish: () => void = () => undefined
    const first = dispatch(request(), patient, () => new Promise<void>((resolve) => (finish = resolve)))
    await clock.advance(0)
    expect(await dispatch(request(), patient, ({ replica: { id } }) => Promise.resolve(id))).toBe('b')
    found(engines.get('b')).state = 'unavailable'
    expect(await outcome(dispatch(request(), patient, () => Promise.resolve(1)))).toMatchObject({ code: 'queue_full' })
    finish()
    await first
  })

  it('does not let a request wait in a queue for a model that nothing serves', async () => {
    const { dispatch, engines, pool } = build({ m: ['a'] }, { maxInFlight: 1 })
    found(engines.get('a')).state = 'loading'
    expect(await outcome(dispatch(request(), patient, () => Promise.resolve(1)))).toMatchObject({ code: 'unavailable' })
    expect(pool('m').admission).toMatchObject({ running: 0, waiting: 0 })
  })

  it('sends a request to a replica that restarts only where no other can serve', async () => {
    const { dispatch, engines } = build({ m: ['a', 'b'] })
    found(engines.get('a')).state = 'restarting'
    const serve = ({ replica: { id } }: Attempt) => Promise.resolve(id)
    expect(await dispatch(request(), patient, serve)).toBe('b')
    found(engines.get('b')).state = 'unavailable'
    expect(await dispatch(request(), patient, serve)).toBe('a')
  })

  it('places a request only where its fields are known, and names the field that no engine knows', async () => {
    const { dispatch, engines } = build({ m: ['a', 'b'] })
    const item = createWorkItem({ model: 'm', needs: ['minTokens'] })
    const serve = ({ replica: { id } }: Attempt) => Promise.resolve(id)
    expect(await outcome(dispatch(item, patient, serve))).toMatchObject({
      code: 'unsupported',
      details: { param: 'min_tokens' },
    })
    found(engines.get('b')).extensions = new Set(['minTokens'])
    for (let at = 0; at < 3; at += 1) expect(await dispatch(item, patient, serve)).toBe('b')
  })

  it('counts every request in and out exactly once, whatever happens and in whatever order', async () => {
    const event = fc.record({
      afterMs: fc.nat(2000),
      kind: fc.constantFrom('serve', 'fail', 'busy', 'commit-and-fail', 'hang', 'invalid'),
      leaveAfterMs: fc.option(fc.nat(3000), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 25 }), async (events) => {
        const { dispatch, clock, replica } = build({ m: ['a', 'b', 'c'] })
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
          void outcome(dispatch(request(), client.signal, run)).then(() => (ended += 1))
        }
        await clock.advance(100_000)
        expect(ended).toBe(events.length)
        for (const id of ['a', 'b', 'c']) expect(replica(id).inFlight).toBe(0)
      }),
      { numRuns: 60 },
    )
  })
})
