import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../core/index.ts'
import { CircuitBreaker, type BreakerLimits } from './breaker.ts'
import { RetryBudget } from './retry-budget.ts'

const limits: BreakerLimits = {
  failuresToOpen: 3,
  failureShareToOpen: 0.5,
  windowRequests: 10,
  openMs: 1000,
  maxOpenMs: 4000,
  trialsToClose: 2,
}

const run = (breaker: CircuitBreaker, failed: boolean | undefined) => breaker.enter()(failed)

describe('CircuitBreaker', () => {
  it('opens after failures in a row, lets one trial at a time through later, and closes after enough good ones', async () => {
    const clock = new VirtualClock()
    const breaker = new CircuitBreaker(() => limits, clock)
    for (let failures = 0; failures < 3; failures += 1) run(breaker, true)
    expect(breaker.admits).toBe(false)
    expect(breaker.opensInMs).toBe(1000)
    await clock.advance(1000)
    expect(breaker.state).toBe('half-open')
    const trial = breaker.enter()
    expect(breaker.admits).toBe(false)
    trial(false)
    expect(breaker.state).toBe('half-open')
    run(breaker, false)
    expect(breaker.state).toBe('closed')
  })

  it('doubles its time with each failed trial, up to a limit', async () => {
    const clock = new VirtualClock()
    const breaker = new CircuitBreaker(() => limits, clock)
    for (let failures = 0; failures < 3; failures += 1) run(breaker, true)
    const waits: number[] = []
    for (let trials = 0; trials < 4; trials += 1) {
      waits.push(breaker.opensInMs)
      await clock.advance(breaker.opensInMs)
      run(breaker, true)
    }
    expect(waits).toEqual([1000, 2000, 4000, 4000])
  })

  it('ejects an outlier that fails every other request, though never three in a row', () => {
    const breaker = new CircuitBreaker(() => limits, new VirtualClock())
    for (let requests = 0; requests < 10; requests += 1) run(breaker, requests % 2 === 0)
    expect(breaker.state).toBe('open')
  })

  it('is not moved by endings that tell nothing, nor by those that began before it opened', async () => {
    const clock = new VirtualClock()
    const breaker = new CircuitBreaker(() => limits, clock)
    for (let requests = 0; requests < 50; requests += 1) run(breaker, undefined)
    expect(breaker.state).toBe('closed')
    const early = breaker.enter()
    for (let failures = 0; failures < 3; failures += 1) run(breaker, true)
    await clock.advance(1000)
    early(true)
    expect(breaker.state).toBe('half-open')
    breaker.enter()(undefined)
    expect(breaker.admits).toBe(true)
  })

  it('always lets a trial through again, however requests and time interleave', async () => {
    const step = fc.oneof(
      fc.constant('enter' as const),
      fc.record({ leave: fc.nat(5), failed: fc.option(fc.boolean(), { nil: undefined }) }),
      fc.record({ wait: fc.nat(3000) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const clock = new VirtualClock()
        const breaker = new CircuitBreaker(() => limits, clock)
        const inside: ((failed: boolean | undefined) => void)[] = []
        for (const action of steps) {
          if (action === 'enter') {
            if (breaker.admits) inside.push(breaker.enter())
          } else if ('wait' in action) await clock.advance(action.wait)
          else inside.splice(action.leave % Math.max(1, inside.length), 1)[0]?.(action.failed)
        }
        for (const leave of inside) leave(true)
        await clock.advance(limits.maxOpenMs)
        expect(breaker.admits).toBe(true)
      }),
      { numRuns: 50 },
    )
  })
})

describe('RetryBudget', () => {
  it('grants a share of the requests, and a few each second without any', async () => {
    const clock = new VirtualClock()
    const budget = new RetryBudget(() => ({ retriesPerRequest: 0.2, retriesPerSecond: 1 }), clock)
    expect([budget.withdraw(), budget.withdraw()]).toEqual([true, false])
    for (let requests = 0; requests < 100; requests += 1) budget.deposit()
    let granted = 0
    while (budget.withdraw()) granted += 1
    expect(granted).toBe(20)
    await clock.advance(3000)
    while (budget.withdraw()) granted += 1
    expect(granted).toBe(23)
    await clock.advance(1_000_000)
    while (budget.withdraw()) granted += 1
    expect(granted).toBe(123)
  })
})
