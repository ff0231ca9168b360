import { describe, expect, it } from 'vitest'
import { defaultValues } from '../../core/index.ts'
import { parseTrace, words } from '../../workload/index.ts'
import { benchOptions } from '../options.ts'
import type { LoadShape, Target } from '../plan.ts'
import { toLoadPlan } from '../settings.ts'
import { RequestSource } from './request-source.ts'

const target: Target = {
  url: 'http://host/v1',
  model: 'm',
  api: 'chat',
  stream: true,
  headers: {},
  extraBody: {},
  ignoreEos: false,
  includeUsage: true,
  maxTokensField: 'max_tokens',
}

function sourceOf(rows: readonly object[], speed = 1, asked = target): RequestSource {
  const lines = rows.map((row) => JSON.stringify(row))
  const shape: LoadShape = { kind: 'trace', requests: parseTrace(lines, { maxTraceRequests: 100 }), speed }
  return new RequestSource(toLoadPlan(defaultValues(benchOptions), asked, { words, tokensPerWord: 1 }, shape))
}

const lengths = { input_length: 4, output_length: 2 }

describe('a conversation of a trace', () => {
  it('asks its turns in order, each after its pause or at its time, whichever the trace gives', () => {
    const rows = [
      { session_id: 'a', timestamp: 100, ...lengths, input_length: 3 },
      { session_id: 'a', delay: 400, ...lengths, input_length: 5 },
      { session_id: 'b', timestamp: 0, ...lengths },
      { session_id: 'b', timestamp: 2000, ...lengths },
    ]
    const source = sourceOf(rows, 2)
    expect(source.traceTimesMs()).toEqual([0, 50])
    const [timed, paused] = [source.session(0), source.session(1)]
    expect(paused.turns).toBe(2)
    expect(paused.next().promptTokens).toBe(3)
    paused.answered('yes')
    expect(paused.nextDueMs(900)).toBe(1100)
    expect(paused.next()).toMatchObject({ turn: 1, promptTokens: 5 })
    timed.next()
    timed.answered('yes')
    // At its own time, but never before the answer.
    expect(timed.nextDueMs(300)).toBe(1000)
    expect(timed.nextDueMs(1500)).toBe(1500)
  })

  it('carries the real answers, unless the trace writes the conversation itself', () => {
    const written = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
    ]
    const rows = [
      { session_id: 'a', prompt: 'one', output_length: 2 },
      { session_id: 'a', prompt: 'two', output_length: 2 },
      { session_id: 'a', messages: written, output_length: 2 },
    ]
    const session = sourceOf(rows).session(0)
    const messagesOf = () => (JSON.parse(session.next().body) as { messages: unknown }).messages
    expect(messagesOf()).toEqual([{ role: 'user', content: 'one' }])
    session.answered('first')
    expect(messagesOf()).toEqual([
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'first' },
      { role: 'user', content: 'two' },
    ])
    session.answered('second')
    expect(messagesOf()).toEqual(written)
  })
})

describe('a request’s body', () => {
  it('limits the answer by the field asked for, and asks for usage only where that is taken', () => {
    const bodyOf = (changed: Partial<Target>) =>
      JSON.parse(
        sourceOf([lengths], 1, { ...target, ...changed })
          .session(0)
          .next().body,
      ) as object
    expect(bodyOf({})).toMatchObject({ max_tokens: 2, stream: true, stream_options: { include_usage: true } })
    const plain = bodyOf({ maxTokensField: 'max_completion_tokens', includeUsage: false })
    expect(plain).toMatchObject({ max_completion_tokens: 2, stream: true })
    expect(plain).not.toHaveProperty('max_tokens')
    expect(plain).not.toHaveProperty('stream_options')
  })
})
