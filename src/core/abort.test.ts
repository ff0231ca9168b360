import { describe, expect, it } from 'vitest'
import { linkedController, onAbort, sleep, throwIfAborted } from './abort.ts'
import { VirtualClock } from './clock.ts'
import { TokenmillError } from './errors.ts'

const timeLimit = new TokenmillError('deadline_exceeded', 'The time is over.')

describe('onAbort()', () => {
  it('calls back once with the reason, at once where the signal has already aborted', () => {
    const controller = new AbortController()
    const seen: string[] = []
    onAbort(controller.signal, (error) => seen.push(error.code))
    controller.abort(timeLimit)
    controller.abort()
    onAbort(controller.signal, (error) => seen.push(`late ${error.code}`))
    expect(seen).toEqual(['deadline_exceeded', 'late deadline_exceeded'])
  })

  it('takes a reason that is no TokenmillError for a client that left, and stops listening when told', () => {
    const controller = new AbortController()
    const seen: string[] = []
    const stop = onAbort(controller.signal, () => seen.push('stopped'))
    onAbort(controller.signal, (error) => seen.push(error.code))
    stop()
    controller.abort(new Error('socket closed'))
    expect(seen).toEqual(['cancelled'])
    expect(() => throwIfAborted(controller.signal)).toThrow(/cancelled by its client/)
  })
})

describe('sleep()', () => {
  it('resolves when the clock gets there', async () => {
    const clock = new VirtualClock()
    let awake = false
    const sleeping = sleep(10, clock, new AbortController().signal).then(() => {
      awake = true
    })
    await clock.advance(9)
    expect(awake).toBe(false)
    await clock.advance(1)
    await sleeping
    expect(awake).toBe(true)
  })

  it('rejects with the reason as soon as its signal aborts, before or during the wait', async () => {
    const clock = new VirtualClock()
    const controller = new AbortController()
    const sleeping = sleep(10, clock, controller.signal)
    controller.abort(timeLimit)
    await expect(sleeping).rejects.toBe(timeLimit)
    await expect(sleep(10, clock, controller.signal)).rejects.toBe(timeLimit)
  })
})

describe('linkedController()', () => {
  it('aborts with its parent until it is unlinked, and never aborts the parent', () => {
    const parent = new AbortController()
    const linked = linkedController(parent.signal)
    const unlinked = linkedController(parent.signal)
    unlinked.unlink()
    parent.abort(timeLimit)
    expect(linked.controller.signal.reason).toBe(timeLimit)
    expect(unlinked.controller.signal.aborted).toBe(false)
    const other = linkedController(new AbortController().signal)
    other.controller.abort()
    expect(other.controller.signal.aborted).toBe(true)
  })
})
