import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { conclusionOf, finalNumber, isRight } from './judge.ts'
import { majority, wilsonInterval } from './statistics.ts'

const say = (text: string) => ({ text, calls: [] })

describe('isRight()', () => {
  it('takes the last number of a reply, with its sign', () => {
    expect(isRight({ kind: 'number', value: 85 }, say('47 + 38 = 85.'))).toBe(true)
    expect(isRight({ kind: 'number', value: 85 }, say('85 + 1 = 86'))).toBe(false)
    expect(isRight({ kind: 'number', value: -9 }, say('3 - 12 = -9.'))).toBe(true)
    expect(isRight({ kind: 'number', value: 9 }, say('3 - 12 = -9.'))).toBe(false)
    expect(isRight({ kind: 'number', value: 0 }, say('none'))).toBe(false)
  })

  it('does not find a number inside another', () => {
    expect(isRight({ kind: 'contains', text: '25 eggs' }, say('The answer is 25 eggs.'))).toBe(true)
    expect(isRight({ kind: 'contains', text: '25 eggs' }, say('The answer is 125 eggs.'))).toBe(false)
  })

  it('compares JSON by value and refuses what is no JSON', () => {
    const check = { kind: 'json', value: { age: 34, name: 'Ana' } } as const
    expect(isRight(check, say('{"name": "Ana", "age": 34}'))).toBe(true)
    expect(isRight(check, say('{"name": "Ana", "age": "34"}'))).toBe(false)
    expect(isRight(check, say('{"name": "Ana", "age": 34'))).toBe(false)
  })

  it('wants every tool call with its name and arguments, and no other', () => {
    const call = { name: 'get_weather', arguments: { city: 'Oslo' } }
    const check = { kind: 'calls', calls: [call] } as const
    expect(isRight(check, { text: '', calls: [call] })).toBe(true)
    expect(isRight(check, { text: '', calls: [call, call] })).toBe(false)
    expect(isRight(check, { text: '', calls: [{ ...call, arguments: { city: 'Bern' } }] })).toBe(false)
    expect(isRight(check, say('get_weather Oslo'))).toBe(false)
  })
})

describe('finalNumber()', () => {
  it('reads back any integer at the end of an equation', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(), (value, other) => {
        expect(finalNumber(`${other} + 1 = ${value}.`)).toBe(value)
      }),
    )
  })
})

describe('majority()', () => {
  it('is the most frequent conclusion, the first of equals, and unites replies in other words', () => {
    expect(majority(['8', '9', '9'])).toBe('9')
    expect(majority(['8', '9'])).toBe('8')
    expect(majority([])).toBeUndefined()
    const check = { kind: 'number', value: 9 } as const
    expect(conclusionOf(check, say('4 + 5 = 9.'))).toBe(conclusionOf(check, say('9')))
  })
})

describe('wilsonInterval()', () => {
  it('agrees with published values and stays within 0 and 1', () => {
    // Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611.
    const [low, high] = wilsonInterval(81, 263)
    expect(low).toBeCloseTo(0.2553, 3)
    expect(high).toBeCloseTo(0.3662, 3)
    expect(wilsonInterval(0, 20)[0]).toBe(0)
    expect(wilsonInterval(0, 20)[1]).toBeCloseTo(0.1611, 3)
  })
})
