import { describe, expect, it } from 'vitest'
import { CheckPace } from './check-pace.ts'

describe('CheckPace', () => {
  it('leaves a few endpoints their own interval, and spreads many over the checks that there are', () => {
    const pace = new CheckPace(40)
    const leave = Array.from({ length: 40 }, () => pace.enter())
    expect(pace.delayMs(1000)).toBe(1000)
    leave.push(...Array.from({ length: 60 }, () => pace.enter()))
    expect(pace.delayMs(1000)).toBe(2500)
    for (const gone of leave.slice(0, 60)) {
      gone()
      gone()
    }
    expect(pace.delayMs(500)).toBe(1000)
  })
})
