import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TokenmillError } from '../../core/index.ts'
import { StreamTap, type StreamTapOptions } from './stream-tap.ts'

const options: StreamTapOptions = {
  model: 'alias',
  endpoint: 'http://up',
  dropUsageChunk: true,
  n: 1,
  maxFrameBytes: 100_000,
}

const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'org/model-7b' }
const data = (value: unknown): string => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`
const delta = (delta: object, finish: string | null = null): string =>
  data({ ...head, choices: [{ index: 0, delta, finish_reason: finish }] })
const usage = { prompt_tokens: 7, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 4 } }

function run(text: string, overrides: Partial<StreamTapOptions> = {}, cuts: readonly number[] = []) {
  const tap = new StreamTap({ ...options, ...overrides })
  const bytes = Buffer.from(text)
  const borders = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const out: Buffer[] = []
  ;[0, ...borders].forEach((from, at) => {
    const written = tap.push(bytes.subarray(from, borders[at] ?? bytes.length))
    if (written !== undefined) out.push(written)
  })
  tap.end()
  const last = tap.takeWritten()
  if (last !== undefined) out.push(last)
  return { tap, out: Buffer.concat(out).toString() }
}

const payloads = (out: string): unknown[] =>
  out
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: {'))
    .map((frame) => JSON.parse(frame.slice(6)))

const texts = fc.oneof(fc.string(), fc.constantFrom('é', '日本', '🦙', '\u0000"\\', '\ud800'))

describe('StreamTap', () => {
  it('rewrites the model and nothing else, learns usage, and drops the chunk that the client did not ask for', () => {
    fc.assert(
      fc.property(
        fc.array(texts, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(4000), { maxLength: 8 }),
        fc.boolean(),
        (texts, cuts, drop) => {
          const frames = [
            delta({ role: 'assistant', content: '' }),
            ...texts.map((content) => delta({ content })),
            delta({}, 'stop'),
            data({ ...head, choices: [], usage }),
            data('[DONE]'),
          ]
          const { tap, out } = run(frames.join(''), { dropUsageChunk: drop }, cuts)
          const kept = drop ? frames.filter((frame) => !frame.includes('"usage"')) : frames
          expect(out).toBe(kept.join('').replaceAll('"model":"org/model-7b"', '"model":"alias"'))
          expect(tap.usage).toEqual({
            promptTokens: 7,
            completionTokens: 3,
            cachedTokens: 4,
            reasoningTokens: undefined,
          })
          expect(tap.outputFrames).toBe(texts.filter((text) => text !== '').length)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('writes and counts frames of the same make as it does those that differ', () => {
    const made = fc.oneof(
      { weight: 6, arbitrary: texts.map((content) => delta({ content })) },
      { weight: 2, arbitrary: texts.map((text) => data({ ...head, choices: [{ index: 0, text }] })) },
      fc.constantFrom(
        delta({ content: null }),
        delta({ content: 'a', tool_calls: [] }),
        delta({ reasoning: 'b' }),
        data({ model: 'org/model-7b', choices: [{ index: 1, delta: { content: 'c' } }], usage: null }),
        data({
          choices: [{ index: 0, delta: { content: 'd' }, x: '"},"finish_reason":null}]}' }],
          model: 'org/model-7b',
        }),
        ': ping\n\n',
        'data: {"model":"org/model-7b","choices":[{"index":0,"delta":{"content":"e","content":"f"}}]}\n\n',
      ),
    )
    fc.assert(
      fc.property(fc.array(made, { minLength: 1, maxLength: 30 }), (frames) => {
        const opening = [0, 1].map((index) => data({ ...head, choices: [{ index, delta: { role: 'assistant' } }] }))
        const end = `${delta({}, 'stop')}${data('[DONE]')}`
        const written = end.replace('org/model-7b', 'alias')
        const alone = frames.map((frame) => run([...opening, frame, end].join('')))
        const start = run([...opening, end].join('')).out.replace(written, '')
        const together = run([...opening, ...frames, end].join(''))
        const expected = alone.map(({ out }) => out.slice(start.length).replace(written, ''))
        expect(together.out).toBe(`${start}${expected.join('')}${written}`)
        expect(together.tap.outputFrames).toBe(alone.reduce((sum, { tap }) => sum + tap.outputFrames, 0))
      }),
    )
  })

  it('is not misled by a text that looks like a field', () => {
    const sly = '"model":"x","usage":{"prompt_tokens":99},"error":{"message":"no"} data: [DONE]\n\ndata: [DONE]\n\n'
    const { tap, out } = run(delta({ role: 'assistant', content: sly }, 'stop'))
    expect(tap.usage).toBeUndefined()
    expect(tap.done).toBe(false)
    expect(payloads(out)).toEqual([
      {
        ...head,
        model: 'alias',
        choices: [{ index: 0, delta: { role: 'assistant', content: sly }, finish_reason: 'stop' }],
      },
    ])
  })

  it('gives thinking both names, in either direction, and counts it as output', () => {
    const { tap, out } = run(
      delta({ role: 'assistant', reasoning: 'a\\"é' }) + delta({ reasoning_content: 'b' }) + delta({}, 'stop'),
    )
    expect(tap.outputFrames).toBe(2)
    expect(payloads(out)).toMatchObject([
      { choices: [{ delta: { reasoning: 'a\\"é', reasoning_content: 'a\\"é' } }] },
      { choices: [{ delta: { reasoning: 'b', reasoning_content: 'b' } }] },
      {},
    ])
  })

  it('gives the first delta of each choice the role that an engine left out', () => {
    const chunk = (index: number, delta: object) => data({ ...head, choices: [{ index, delta }] })
    const { out } = run(chunk(0, { content: 'a' }) + chunk(1, {}) + chunk(0, { content: 'b' }) + data('[DONE]'))
    expect(payloads(out)).toMatchObject([
      { choices: [{ delta: { role: 'assistant', content: 'a' } }] },
      { choices: [{ delta: { role: 'assistant' } }] },
      { choices: [{ delta: { content: 'b' } }] },
    ])
    expect(out.match(/role/g)).toHaveLength(2)
  })

  it('keeps usage that comes on every chunk or on the last one with a choice', () => {
    const { tap, out } = run(
      data({ ...head, choices: [{ index: 0, text: 'a' }], usage: { prompt_tokens: 5, completion_tokens: 1 } }) +
        data({
          ...head,
          choices: [{ index: 0, text: 'b', finish_reason: 'length' }],
          usage: { prompt_tokens: 5, completion_tokens: 2 },
        }),
    )
    expect(tap.usage).toMatchObject({ promptTokens: 5, completionTokens: 2 })
    expect(payloads(out)).toHaveLength(2)
  })

  it('passes keep-alive comments, and understands frames with an event name, an id and CRLF', () => {
    const text = `: ping\n\nevent: message\r\nid: 4\r\ndata: ${JSON.stringify({ ...head, choices: [{ index: 0, text: 'a', finish_reason: 'stop' }] })}\r\n\r\n`
    const { tap, out } = run(text)
    expect(out.startsWith(': ping\n\n')).toBe(true)
    expect(payloads(out)).toMatchObject([{ model: 'alias' }])
    expect(tap.complete).toBe(true)
  })

  it.each([
    [
      'ends without a finish reason',
      delta({ role: 'assistant', content: 'a' }),
      /ended its stream before the last event/,
    ],
    ['ends within a frame', `${delta({ content: 'a' })}data: {"choices":[{"ind`, /malformed event/],
    ['is empty', '', /ended its stream before the last event/],
    ['is HTML', '<html>\n\n<body>data: oops</body>\n\n', /malformed/],
    ['holds broken JSON', 'data: {"choices":[}\n\ndata: nonsense\n\n', /malformed event/],
  ])('fails a stream that %s', (_name, text, message) => {
    expect(() => run(text)).toThrow(message)
  })

  it.each([
    ['a flat error', data({ object: 'error', message: 'engine died', code: 500 }), /engine died/],
    ['a detail', data({ detail: 'Internal error' }), /Internal error/],
    ['a code and a message', data({ code: 'Throttling', message: 'rate limit' }), /rate limit/],
    ['an event named error', 'event: error\ndata: {"message":"engine died"}\n\n', /engine died/],
    ['an event named error, not JSON', 'event:error\ndata: engine died\n\n', /engine died/],
    ['a finish reason that says so', delta({}, 'abort'), /'abort'/],
  ])('fails a stream with %s, before output and after it, whatever follows', (_name, frame, message) => {
    for (const before of ['', delta({ role: 'assistant', content: 'a' })]) {
      expect(() => run(`${before}${frame}${data('[DONE]')}`)).toThrow(message)
    }
  })

  it('fails a stream that is declared complete and holds nothing, or that is a JSON body', () => {
    expect(() => run(data('[DONE]'))).toThrow(/without output and without a finish reason/)
    expect(run(delta({}, 'stop') + data('[DONE]')).tap.outputFrames).toBe(0)
    expect(() => run('{"error":{"message":"overloaded","code":503}}')).toThrow(/overloaded/)
  })

  it.each([
    ['content in parts', { content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] }] }],
    ['thinking in parts', { reasoning_details: [{ type: 'reasoning.text', text: 'hm' }] }],
    ['a call of the old kind', { function_call: { name: 'f', arguments: '' } }],
    ['sound', { audio: { data: 'AA==' } }],
  ])('takes %s for output', (_name, piece) => {
    expect(run(delta(piece) + delta({}, 'stop')).tap.outputFrames).toBe(1)
  })

  it("tells SGLang's matched_stop as the stop reason too", () => {
    const end = (more: object) =>
      data({ ...head, choices: [{ index: 0, delta: { role: 'assistant' }, finish_reason: 'stop', ...more }] })
    const told = (more: object) => payloads(run(delta({ role: 'assistant', content: 'a' }) + end(more)).out).at(-1)
    expect(told({ matched_stop: 'E"ND' })).toMatchObject({ choices: [{ stop_reason: 'E"ND', matched_stop: 'E"ND' }] })
    expect(told({ matched_stop: 7 })).toMatchObject({ choices: [{ stop_reason: 7 }] })
    expect(told({ matched_stop: null })).toEqual(
      JSON.parse(end({ matched_stop: null }).slice(6).replace('org/model-7b', 'alias')),
    )
  })

  it('takes a text beside a delta for output, and nothing in empty forms', () => {
    const beside = data({ ...head, choices: [{ index: 0, delta: {}, text: 'a' }] })
    const empty = delta({ content: [], reasoning_details: [], function_call: null, audio: null })
    expect(run(beside + empty + delta({}, 'stop')).tap.outputFrames).toBe(1)
  })

  it('throws the error event of the upstream, after what came before it in the same chunk', () => {
    const tap = new StreamTap(options)
    const text =
      delta({ role: 'assistant', content: 'a' }) + data({ error: { message: 'CUDA out of memory', code: 500 } })
    let caught: unknown
    try {
      tap.push(Buffer.from(text))
    } catch (error) {
      caught = error
    }
    expect(caught).toBeInstanceOf(TokenmillError)
    expect(caught).toMatchObject({
      code: 'upstream_failed',
      message: expect.stringContaining('CUDA out of memory') as string,
    })
    expect(payloads(tap.takeWritten()?.toString() ?? '')).toHaveLength(1)
  })

  it('accepts an end without the blank line after [DONE]', () => {
    expect(run(`${delta({ content: 'a' })}data: [DONE]`).tap.done).toBe(true)
  })

  it('never throws anything but a TokenmillError, whatever the bytes', () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'data: ',
        '\n\n',
        '{',
        '}',
        '"choices":[',
        ']',
        '"delta":',
        '"usage":{',
        '"error":',
        '[DONE]',
        ',',
      ),
    )
    fc.assert(
      fc.property(fc.array(piece), fc.array(fc.nat(200)), (pieces, cuts) => {
        try {
          run(pieces.join(''), {}, cuts)
        } catch (error) {
          expect(error).toBeInstanceOf(TokenmillError)
        }
      }),
      { numRuns: 300 },
    )
  })
})
