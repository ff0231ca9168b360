import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../core/index.ts'
import type { RelayFlow } from '../inference/index.ts'
import { PacedSink, StreamPace } from './stream-pace.ts'

const idleMs = 120_000
const head = (type: string) => ({ status: 200, headers: { 'content-type': type } })
const piece = Buffer.from('data: {}\n\n')

function open(clock: VirtualClock, pace: StreamPace, type = 'text/event-stream') {
  const frozen: number[] = []
  let flow: RelayFlow | undefined
  const sink = { begin: (_: unknown, given: RelayFlow) => void (flow = given), data: () => undefined }
  const paced = new PacedSink(sink, pace, { clock, idleMs, onFrozen: (limitMs) => frozen.push(limitMs) })
  paced.begin(head(type), { pause: () => undefined, resume: () => undefined })
  return { paced, frozen, flow: () => flow }
}

async function stream(clock: VirtualClock, pace: StreamPace, gapMs: number, pieces: number) {
  const { paced } = open(clock, pace)
  for (let at = 0; at < pieces; at += 1) {
    paced.data(piece)
    await clock.advance(gapMs)
  }
  paced.stop()
}

describe('StreamPace', () => {
  it('gives a stream up after 20 of its usual gaps, at least 5 s, and after idleMs while the pace is unknown', async () => {
    const clock = new VirtualClock()
    const fast = new StreamPace()
    expect(fast.limitMs(idleMs)).toBe(idleMs)
    await stream(clock, fast, 30, 200)
    expect(fast.limitMs(idleMs)).toBe(5_000)
    const slow = new StreamPace()
    await stream(clock, slow, 1_000, 200)
    expect(slow.limitMs(idleMs)).toBe(20_000)
    expect(slow.limitMs(10_000)).toBe(10_000)
  })

  it('does not count the wait before the second piece, which may be a prefill', async () => {
    const clock = new VirtualClock()
    const pace = new StreamPace()
    await stream(clock, pace, 30, 200)
    const { paced, frozen } = open(clock, pace)
    paced.data(piece)
    await clock.advance(60_000)
    paced.data(Buffer.from(': ping\n\n'))
    await clock.advance(60_000)
    expect(frozen).toEqual([])
    paced.data(piece)
    await clock.advance(4_900)
    expect(frozen).toEqual([])
    await clock.advance(200)
    expect(frozen).toEqual([5_000])
  })

  it('does not count the time in which the reader holds the stream back', async () => {
    const clock = new VirtualClock()
    const pace = new StreamPace()
    await stream(clock, pace, 30, 200)
    const { paced, frozen, flow } = open(clock, pace)
    paced.data(piece)
    paced.data(piece)
    flow()?.pause()
    await clock.advance(60_000)
    expect(frozen).toEqual([])
    flow()?.resume()
    await clock.advance(4_000)
    expect(frozen).toEqual([])
    await clock.advance(6_000)
    expect(frozen).toEqual([5_000])
    paced.stop()
  })

  it('watches streams alone', async () => {
    const clock = new VirtualClock()
    const pace = new StreamPace()
    await stream(clock, pace, 30, 200)
    const { paced, frozen } = open(clock, pace, 'application/json')
    for (let at = 0; at < 3; at += 1) paced.data(piece)
    await clock.advance(60_000)
    expect(frozen).toEqual([])
  })
})
