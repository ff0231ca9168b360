import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StreamTimeline } from './stream-timeline.ts'

function push(events: readonly unknown[], timeline = new StreamTimeline(1 << 16, true)): StreamTimeline {
  for (const [index, event] of events.entries()) {
    const data = typeof event === 'string' ? event : JSON.stringify(event)
    timeline.pushEvents(Buffer.from(`data: ${data}\n\n`), 10 * (index + 1))
  }
  return timeline
}

const delta = (fields: object, finish: string | null = null): object => ({
  choices: [{ index: 0, delta: fields, finish_reason: finish }],
})

const withUsage = (event: object, tokens: number): object => ({ ...event, usage: { completion_tokens: tokens } })

/** All that a record takes of an answer but its times. */
function seen({ chunks, text, outputChars, usage, finishReason, problem, tokensAfter }: StreamTimeline): object {
  return { chunks, text, outputChars, usage, finishReason, problem, tokensAfter }
}

describe('StreamTimeline', () => {
  it('times chunks with content, not the role, the end or the usage', () => {
    const timeline = push([
      delta({ role: 'assistant', content: '' }),
      delta({ content: 'a' }),
      delta({ content: 'b' }),
      delta({}, 'stop'),
      { choices: [], usage: { prompt_tokens: 9, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 4 } } },
      '[DONE]',
    ])
    expect(timeline.firstEventMs).toBe(10)
    expect([...timeline.chunksMs]).toEqual([20, 30])
    expect(timeline.text).toBe('ab')
    expect(timeline.finishReason).toBe('stop')
    expect(timeline.done).toBe(true)
    expect(timeline.usage).toEqual({ promptTokens: 9, completionTokens: 2, cachedTokens: 4 })
  })

  it('counts reasoning, tool calls and completions as output, and what is said under two names once', () => {
    const timeline = push([
      delta({ reasoning_content: 'think', reasoning: 'think' }),
      delta({ tool_calls: [{ index: 0, function: { name: 'f', arguments: '{}' } }] }),
      { choices: [{ index: 0, text: 'done' }] },
    ])
    expect(timeline.text).toBe('thinkf{}done')
    expect(timeline.chunksMs).toHaveLength(3)
  })

  it('keeps running usage per chunk where the server gives it', () => {
    const chunk = (content: string, tokens: number) => ({
      ...delta({ content }),
      usage: { prompt_tokens: 1, completion_tokens: tokens },
    })
    expect(push([chunk('a', 1), chunk('bcd', 4)]).tokensAfter).toEqual([1, 4])
  })

  it('names what is not as the API defines, and reads nothing after it', () => {
    expect(push(['{"choices":[{', delta({ content: 'a' })]).problem?.kind).toBe('malformed')
    expect(push([{ error: { message: 'engine died' } }]).problem).toEqual({
      kind: 'errorEvent',
      message: 'engine died',
    })
    expect(push(['null']).problem?.kind).toBe('malformed')
    const broken = push(['{"choices":"x"}', delta({ content: 'a' })])
    expect([broken.problem?.kind, broken.chunksMs.length]).toEqual(['malformed', 0])
  })

  it('survives any JSON and any bytes that a server can send', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.json(), fc.string()), { maxLength: 5 }), (events) => {
        push(events)
      }),
    )
    const shapes = fc.object({
      key: fc.constantFrom('choices', 'delta', 'content', 'usage', 'error', 'tool_calls', '0'),
    })
    fc.assert(fc.property(fc.array(shapes, { maxLength: 3 }), (events) => void push(events)))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        new StreamTimeline(64, false).pushEvents(Buffer.from(bytes), 1)
      }),
    )
  })

  it('reads the other keys of an event whose content is empty, though the event before differed in its content', () => {
    const both = (content: string) => delta({ content, reasoning: 'r', reasoning_content: 'r' })
    expect(push([both('a'), both('b'), both('')]).text).toBe('abr')
  })

  it('sees the same whether or not it recognises events by their bytes, however the network cuts them', () => {
    const text = fc.oneof(
      fc.constantFrom(' the', '', '"', '\\', 'ü', '\n', '","finish_reason":"stop', 'tokenmill-probe', '}]}\n\ndata: '),
      fc.string({ maxLength: 6 }),
    )
    const event = fc.oneof(
      { weight: 6, arbitrary: text.map((content) => delta({ content })) },
      {
        weight: 1,
        arbitrary: text.map((reasoning) => delta({ content: '', reasoning, reasoning_content: reasoning })),
      },
      { weight: 1, arbitrary: text.map((content) => delta({ content }, 'stop')) },
      {
        weight: 1,
        arbitrary: text.map((content) => withUsage(delta({ content }), content.length)),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom({ choices: [] }, delta({ role: 'assistant', content: '' }), { choices: 3 }),
      },
    )
    const ends = fc.constantFrom('\n\n', '\r\n\r\n', '\n\n: ping\n\n')
    fc.assert(
      fc.property(fc.array(fc.tuple(event, ends), { maxLength: 20 }), fc.array(fc.nat()), (events, cuts) => {
        const bytes = Buffer.from(events.map(([data, end]) => `data: ${JSON.stringify(data)}${end}`).join(''))
        const [plain, cut] = [new StreamTimeline(1 << 16, true), new StreamTimeline(1 << 16, true)]
        // A key more in each event, and none is like another: all are parsed.
        for (const [index, [data, end]] of events.entries())
          plain.pushEvents(Buffer.from(`data: ${JSON.stringify({ index, ...data })}${end}`), 1)
        const places = [0, ...cuts.map((place) => place % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b)
        for (const [index, place] of places.entries()) cut.pushEvents(bytes, 1, places[index - 1] ?? 0, place)
        expect(seen(cut)).toEqual(seen(plain))
      }),
    )
  })
})
