import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../core/index.ts'
import { SilenceWatch } from './silence-watch.ts'

function watched() {
  const clock = new VirtualClock()
  const state = { hasWork: true, silences: [] as number[] }
  const watch = new SilenceWatch(
    100,
    clock,
    () => state.hasWork,
    () => state.silences.push(clock.now()),
  )
  return { clock, state, watch }
}

describe('SilenceWatch', () => {
  it('tells of silence once the limit has passed since the last sign of life', async () => {
    const { clock, state, watch } = watched()
    for (let at = 0; at < 5; at += 1) {
      watch.heard()
      await clock.advance(60)
    }
    expect(state.silences).toEqual([])
    await clock.advance(200)
    expect(state.silences).toEqual([340])
  })

  it('expects nothing of who has no work, and watches again when work begins', async () => {
    const { clock, state, watch } = watched()
    watch.heard()
    state.hasWork = false
    await clock.advance(1000)
    expect(state.silences).toEqual([])
    state.hasWork = true
    watch.heard()
    await clock.advance(99)
    expect(state.silences).toEqual([])
    await clock.advance(1)
    expect(state.silences).toEqual([1100])
  })

  it('ends with close', async () => {
    const { clock, state, watch } = watched()
    watch.heard()
    watch.close()
    await clock.advance(1000)
    expect(state.silences).toEqual([])
  })
})
