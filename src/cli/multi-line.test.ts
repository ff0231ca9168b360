import { describe, expect, it } from 'vitest'
import { MultiLine } from './multi-line.ts'

/** What each line completes. */
function texts(...lines: readonly string[]): readonly (string | undefined)[] {
  const text = new MultiLine()
  return lines.map((line) => text.push(line))
}

describe('MultiLine', () => {
  it('takes a line as a text, and joins lines that end with a backslash', () => {
    expect(texts('one', 'two \\', 'three')).toEqual(['one', undefined, 'two \nthree'])
  })

  it('takes everything between triple quotes, backslashes and empty lines included', () => {
    expect(texts('"""a', '', 'b\\', 'c"""', 'next')).toEqual([undefined, undefined, undefined, 'a\n\nb\\\nc', 'next'])
    expect(texts('"""', 'x', '"""')).toEqual([undefined, undefined, 'x'])
  })
})

describe('MultiLine.clear()', () => {
  it('forgets what has come of a text', () => {
    const text = new MultiLine()
    expect(text.empty).toBe(true)
    text.push('one \\')
    expect(text.empty).toBe(false)
    text.clear()
    expect(text.empty).toBe(true)
    expect(text.push('two')).toBe('two')
    text.push('"""')
    text.clear()
    expect(text.push('three')).toBe('three')
  })
})
