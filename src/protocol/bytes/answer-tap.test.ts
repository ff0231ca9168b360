import { describe, expect, it } from 'vitest'
import { AnswerTap } from './answer-tap.ts'

const options = { model: 'alias', endpoint: 'http://up', operation: 'chat' as const, maxAnswerBytes: 10_000 }
const answer = {
  id: 'x',
  model: 'org/model',
  choices: [
    { index: 0, message: { role: 'assistant', reasoning: 'hm', content: 'é "model":"y"' }, finish_reason: 'stop' },
  ],
  usage: { prompt_tokens: 2, completion_tokens: 3, completion_tokens_details: { reasoning_tokens: 1 } },
}

function run(text: string, pieceBytes = 7) {
  const tap = new AnswerTap(options)
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += pieceBytes) tap.push(bytes.subarray(at, at + pieceBytes))
  return { tap, out: tap.end().toString() }
}

describe('AnswerTap', () => {
  it('rewrites the model, gives thinking both names, and learns usage', () => {
    const { tap, out } = run(JSON.stringify(answer))
    expect(JSON.parse(out)).toEqual({
      ...answer,
      model: 'alias',
      choices: [{ ...answer.choices[0], message: { ...answer.choices[0]?.message, reasoning_content: 'hm' } }],
    })
    expect(tap.usage).toEqual({ promptTokens: 2, completionTokens: 3, cachedTokens: undefined, reasoningTokens: 1 })
  })

  it('counts what was said where no usage tells it: texts, thinking once, tool calls, and nothing around them', () => {
    const call = { id: 'call-1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } }
    const message = { role: 'assistant', content: 'é!', reasoning: 'hm', reasoning_content: 'hm', tool_calls: [call] }
    const logprobs = { content: [{ token: 'x', logprob: -1 }] }
    const said = { model: 'm', choices: [{ index: 0, message, logprobs, finish_reason: 'stop' }, { text: 'four' }] }
    expect(run(JSON.stringify(said)).tap.saidBytes).toBe(3 + 2 + 3 + 7 + 4)
    expect(run(JSON.stringify(answer)).tap.saidBytes).toBe(0)
    const deep = `{"choices":[${'['.repeat(4000)}${']'.repeat(4000)}]}`
    expect(run(deep, 10_000).tap.saidBytes).toBe(0)
  })

  it('never takes a truncated answer for a success, wherever it was cut', () => {
    const text = JSON.stringify(answer)
    for (let length = 0; length < text.length; length += 1) {
      expect(() => run(text.slice(0, length), 1000)).toThrow(
        expect.objectContaining({ code: 'upstream_failed' }) as Error,
      )
    }
  })

  it.each([
    'null',
    '{}',
    '[]',
    '"upstream connect error"',
    '{"detail":"Internal error"}',
    '{"choices":[]}',
    '[{"error":{"code":429,"message":"m"}}]',
    '{"choices":[{"finish_reason":"error"}]}',
  ])('takes %s for no answer', (text) => {
    expect(() => run(text)).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ endpoint: 'http://up' }) as object }) as Error,
    )
  })

  it('assembles a stream that came where an answer was asked for', () => {
    const event = (delta: object, finish: string | null) =>
      `data: ${JSON.stringify({ model: 'org/model', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
    const usage = 'data: {"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":2}}\n\ndata: [DONE]\n\n'
    const { tap, out } = run(
      event({ role: 'assistant', content: 'AL' }, null) + event({ content: 'PHA' }, 'stop') + usage,
    )
    expect(JSON.parse(out)).toMatchObject({ model: 'alias', choices: [{ message: { content: 'ALPHA' } }] })
    expect(tap.usage).toMatchObject({ completionTokens: 2 })
  })

  it('fails on HTML, on an error under status 200, and past its limit', () => {
    expect(() => run('<html><body>Bad gateway</body></html>')).toThrow(/other than a JSON object: <html>/)
    expect(() => run('{"error":"engine died"}')).toThrow(/engine died/)
    expect(() => run(`{"a":"${'x'.repeat(20_000)}"}`)).toThrow(/'maxAnswerBytes' is 10000 bytes/)
  })
})
