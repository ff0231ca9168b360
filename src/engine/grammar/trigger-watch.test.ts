import { describe, expect, it } from 'vitest'
import { TriggerWatch, type Trigger } from './trigger-watch.ts'

const plain: Trigger = { text: '<tool_call>', onlyAtStart: false, thinking: undefined }
const thinking = { open: '<think>', close: '</think>', opened: false }

/** What stood behind the trigger when it fired; undefined where it never did. */
function firedBehind(trigger: Trigger, pieces: readonly string[]): string | undefined {
  const watch = new TriggerWatch(trigger)
  return pieces.map((piece) => watch.push(piece)).find((behind) => behind !== undefined)
}

describe('TriggerWatch', () => {
  it('fires where the trigger is complete, and tells what came with it', () => {
    expect(firedBehind(plain, ['Sure. <tool', '_call>'])).toBe('')
    expect(firedBehind(plain, ['Sure. <tool', '_call>\n{'])).toBe('\n{')
    expect(firedBehind(plain, ['Sure. <tool', 'box>'])).toBeUndefined()
  })

  it('fires for every cut of a text', () => {
    const text = `<think>no <tool_call> here</think>\n\nA long remark. <tool_call>`
    for (let at = 0; at <= text.length; at += 1) {
      expect(firedBehind({ ...plain, thinking }, [text.slice(0, at), text.slice(at)]), `cut at ${at}`).toBe('')
    }
    expect(firedBehind({ ...plain, thinking }, text.split(''))).toBe('')
  })

  it('ignores the trigger inside thinking, opened by the answer or by the prompt', () => {
    expect(firedBehind({ ...plain, thinking }, [' <think>', '<tool_call>'])).toBeUndefined()
    expect(firedBehind({ ...plain, thinking: { ...thinking, opened: true } }, ['<tool_call>'])).toBeUndefined()
    expect(firedBehind({ ...plain, thinking: { ...thinking, opened: true } }, ['</think>', '<tool_call>'])).toBe('')
    expect(firedBehind({ ...plain, thinking }, ['No thoughts. ', '<tool_call>'])).toBe('')
  })

  it('counts a trigger of the beginning only there', () => {
    const atStart: Trigger = { text: '{"name": "', onlyAtStart: true, thinking: undefined }
    expect(firedBehind(atStart, ['\n {"na', 'me": "we'])).toBe('we')
    expect(firedBehind(atStart, ['Look: {"name": "we'])).toBeUndefined()
    expect(firedBehind(atStart, ['Look: ', '{"name": "we'])).toBeUndefined()
  })

  it('fires once', () => {
    const watch = new TriggerWatch(plain)
    expect(watch.push('<tool_call>')).toBe('')
    expect(watch.push('<tool_call>')).toBeUndefined()
  })
})
