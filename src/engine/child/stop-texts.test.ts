import { describe, expect, it } from 'vitest'
import type { QuietMarks } from '../messages.ts'
import { StopTexts } from './stop-texts.ts'

/** What passes, however the text is cut, and what ended it. */
function read(text: string, stops: readonly string[], quiet: QuietMarks | undefined, size = text.length) {
  const watch = new StopTexts(['<end>'], stops, quiet)
  let passed = ''
  for (let at = 0; at < text.length; at += size) {
    const { text: some, stop } = watch.push(text.slice(at, at + size), true)
    passed += some
    if (stop !== undefined) return { passed, stop }
  }
  const { text: rest, stop } = watch.flush(true)
  return { passed: passed + rest, stop }
}

const thinking = (opened: boolean): QuietMarks => ({ open: '<think>', close: '</think>', opened })

describe('StopTexts', () => {
  it('finds the client’s stop text in content alone, from every cut', () => {
    const text = '<think>a\n\nb</think>\n\nOne.\n\nTwo.'
    for (let size = 1; size <= text.length; size += 1) {
      const expected = { passed: '<think>a\n\nb</think>\n\nOne.', stop: '\n\n' }
      expect(read(text, ['\n\n'], thinking(false), size), `pieces of ${size}`).toEqual(expected)
      expect(read(text.slice(7), ['\n\n'], thinking(true), size)).toEqual({
        ...expected,
        passed: expected.passed.slice(7),
      })
    }
  })

  it('finds the end of a turn inside thinking, too', () => {
    for (const size of [1, 3, 40]) {
      expect(read('<think>never done<end>x', ['n'], thinking(false), size)).toEqual({
        passed: '<think>never done',
        stop: '<end>',
      })
    }
  })

  it('takes an answer that does not think for content from its beginning', () => {
    for (const size of [1, 2, 40]) {
      expect(read('<them> stop', ['stop'], thinking(false), size)).toEqual({ passed: '<them> ', stop: 'stop' })
      expect(read('<th', ['<t'], thinking(false), size)).toEqual({ passed: '', stop: '<t' })
      expect(read('a stop', ['stop'], undefined, size)).toEqual({ passed: 'a ', stop: 'stop' })
    }
  })
})
