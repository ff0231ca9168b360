import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StopMatcher } from './stop-matcher.ts'

function run(stops: readonly string[], pieces: readonly string[]) {
  const matcher = new StopMatcher(stops)
  let text = ''
  for (const piece of pieces) {
    const result = matcher.push(piece)
    text += result.text
    if (result.stop !== undefined) return { text, stop: result.stop }
  }
  return { text: text + matcher.flush(), stop: undefined }
}

describe('StopMatcher', () => {
  it('holds back what could begin a stop text, and only that', () => {
    const matcher = new StopMatcher(['</s>'])
    expect(matcher.push('a <')).toEqual({ text: 'a ', stop: undefined })
    expect(matcher.push('/')).toEqual({ text: '', stop: undefined })
    expect(matcher.push('b')).toEqual({ text: '</b', stop: undefined })
    expect(matcher.push('c</s>d')).toEqual({ text: 'c', stop: '</s>' })
  })

  it('lets a stop text pass that is complete while none may stop, and takes the next', () => {
    const matcher = new StopMatcher(['ab', 'abcd'])
    expect(matcher.push('xab', false)).toEqual({ text: 'x', stop: undefined })
    expect(matcher.push('c')).toEqual({ text: '', stop: undefined })
    expect(matcher.push('e')).toEqual({ text: 'abce', stop: undefined })
    expect(matcher.push('a', false)).toEqual({ text: '', stop: undefined })
    expect(matcher.push('bc')).toEqual({ text: '', stop: 'ab' })
  })

  it('lets everything pass at once without stop texts', () => {
    expect(new StopMatcher([]).push('abc')).toEqual({ text: 'abc', stop: undefined })
  })

  it('gives the same text and stop however the text is cut, and never a part of the stop text', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '🌾'), maxLength: 12 })
    const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '🌾'), minLength: 1, maxLength: 4 }), {
      maxLength: 3,
    })
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 6 }), stops, (pieces, stops) => {
        const whole = run(stops, Array.from(pieces.join('')))
        expect(run(stops, pieces)).toEqual(whole)
        expect(pieces.join('').startsWith(whole.text + (whole.stop ?? ''))).toBe(true)
        for (const stop of stops) expect(whole.text.includes(stop)).toBe(false)
      }),
      { numRuns: 1000 },
    )
  })
})
