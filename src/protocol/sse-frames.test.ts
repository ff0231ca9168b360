import { describe, expect, it } from 'vitest'
import { escapeLineEnds, sseFrame } from './sse-frames.ts'

describe('escapeLineEnds()', () => {
  it('escapes what some readers take for the end of a line, and the text stays the same', () => {
    const text = 'a\u2028b\u2029c\u0085d\n"é'
    const frame = escapeLineEnds(sseFrame(JSON.stringify({ text })))
    expect(frame).not.toMatch(/[\u0085\u2028\u2029]/)
    expect(JSON.parse(frame.slice('data: '.length))).toEqual({ text })
  })
})
