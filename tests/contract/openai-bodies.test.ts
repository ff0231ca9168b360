import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultValues, TokenmillError } from '../../src/core/index.ts'
import { parseJsonBody, toErrorReply } from '../../src/protocol/index.ts'
import { parseChatCall } from '../../src/protocol/openai/chat-request.ts'
import { parseCompletionCall } from '../../src/protocol/openai/completion-request.ts'
import { parseEmbeddingCall } from '../../src/protocol/openai/embeddings.ts'
import { parseRerankCall } from '../../src/protocol/openai/rerank.ts'
import { parseDetokenizeCall, parseTokenizeCall } from '../../src/protocol/openai/tokenize.ts'
import { protocolOptions } from '../../src/protocol/options.ts'
import { ScriptedEngine } from '../scripted/engine.ts'
import { startTestServer, type TestServer } from '../scripted/server.ts'

const limits = defaultValues(protocolOptions)
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))
const chat = (fields: object) => parseChatCall(parseJsonBody(bytes({ messages, ...fields })), limits)
const completion = (fields: object) => parseCompletionCall(parseJsonBody(bytes({ prompt: 'x', ...fields })), limits)
const messages = [{ role: 'user', content: 'hi' }]

function refusal(work: () => unknown) {
  try {
    work()
  } catch (error) {
    if (error instanceof TokenmillError) return { code: error.code, param: error.details.param, message: error.message }
    throw error
  }
  return 'accepted'
}

describe('a chat body', () => {
  it('is read with every field that OpenAI specifies and engines added', () => {
    const call = chat({
      model: 'm',
      messages: [
        {
          role: 'developer',
          content: [
            { type: 'text', text: 'Be ' },
            { type: 'text', text: 'kind.' },
          ],
        },
        { role: 'user', content: 'hi', name: 'ann' },
        {
          role: 'assistant',
          content: null,
          reasoning_content: 'hm',
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: '4' },
      ],
      max_tokens: 5,
      max_completion_tokens: 7,
      temperature: 0.5,
      top_p: 0.9,
      top_k: -1,
      min_p: 0.05,
      n: 2,
      stop: ['a', 'b'],
      seed: -3,
      logprobs: true,
      top_logprobs: 3,
      logit_bias: { '12': -100 },
      presence_penalty: 1,
      frequency_penalty: -1,
      repetition_penalty: 1.1,
      ignore_eos: true,
      response_format: { type: 'json_schema', json_schema: { name: 's', schema: { type: 'object' }, strict: true } },
      tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
      tool_choice: { type: 'function', function: { name: 'f' } },
      parallel_tool_calls: false,
      stream: true,
      stream_options: { include_usage: true, include_obfuscation: false },
      reasoning_effort: 'low',
      chat_template_kwargs: { enable_thinking: false },
      user: 'u',
      prompt_cache_key: 'k',
      metadata: { a: 'b' },
      service_tier: 'auto',
      store: false,
      verbosity: 'low',
      priority: 3,
      something_from_the_future: { a: 1 },
    })
    expect(call).toMatchObject({ model: 'm', stream: true, echo: false })
    expect(call.drafts).toEqual([
      {
        input: {
          kind: 'chat',
          chat: {
            messages: [
              { role: 'developer', content: 'Be kind.' },
              { role: 'user', content: 'hi', name: 'ann' },
              {
                role: 'assistant',
                content: '',
                reasoning: 'hm',
                toolCalls: [{ id: 'c1', name: 'f', arguments: '{}' }],
              },
              { role: 'tool', content: '4', toolCallId: 'c1' },
            ],
            tools: [{ name: 'f', description: undefined, parameters: { type: 'object' }, strict: false }],
            toolChoice: { kind: 'named', name: 'f' },
            parallelToolCalls: false,
            reasoningEffort: 'low',
            templateVariables: { enable_thinking: false },
            continueFinalMessage: false,
          },
        },
        n: 2,
        maxTokens: 7,
        stop: ['a', 'b'],
        ignoreEos: true,
        sampling: {
          temperature: 0.5,
          topP: 0.9,
          topK: 0,
          minP: 0.05,
          presencePenalty: 1,
          frequencyPenalty: -1,
          repetitionPenalty: 1.1,
          logitBias: new Map([[12, -100]]),
          seed: -3,
        },
        logprobs: 3,
        promptLogprobs: undefined,
        constraint: { kind: 'jsonSchema', name: 's', schema: { type: 'object' }, strict: true },
        deadlineMs: undefined,
        affinityKey: 'k',
      },
    ])
  })

  it('takes null for every optional field, as client libraries send it', () => {
    const names =
      'model max_tokens temperature top_p n stop seed logprobs logit_bias response_format tools tool_choice stream stream_options user'
    const fields = Object.fromEntries(names.split(' ').map((name) => [name, null]))
    expect(chat(fields).drafts[0]).toMatchObject({ n: 1, maxTokens: undefined, stop: [], constraint: undefined })
  })

  it.each([
    [{ messages: 'hi' }, 'invalid_request', 'messages'],
    [{ messages: [] }, 'invalid_request', 'messages'],
    [{ messages: [{ role: 'user' }] }, 'invalid_request', 'messages[0].content'],
    [{ messages: [...messages, { role: 'robot', content: 'x' }] }, 'invalid_request', 'messages[1].role'],
    [
      { messages: [{ role: 'user', content: [{ type: 'video_url', video_url: { url: 'x' } }] }] },
      'unsupported',
      'messages[0].content[0]',
    ],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { detail: 'low' } }] }] },
      'invalid_request',
      'messages[0].content[0].image_url.url',
    ],
    [
      { messages: [{ role: 'user', content: [{ type: 'file', file: { filename: 'a.pdf' } }] }] },
      'invalid_request',
      'messages[0].content[0].file.file_data',
    ],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'invalid_request', 'messages[0].tool_call_id'],
    [{ temperature: 'hot' }, 'invalid_request', 'temperature'],
    [{ mirostat: 3 }, 'invalid_request', 'mirostat'],
    [{ truncate_prompt_tokens: 0 }, 'invalid_request', 'truncate_prompt_tokens'],
    [{ top_n_sigma: 2 }, 'unsupported', 'top_n_sigma'],
    [{ samplers: ['top_k'] }, 'unsupported', 'samplers'],
    [{ temperature: -1 }, 'invalid_request', 'temperature'],
    [{ max_tokens: 0 }, 'invalid_request', 'max_tokens'],
    [{ max_tokens: 1.5 }, 'invalid_request', 'max_tokens'],
    [{ n: 1e9 }, 'invalid_request', 'n'],
    [{ stop: ['ok', ''] }, 'invalid_request', 'stop[1]'],
    [{ stop: Array.from({ length: 99 }, () => 'x') }, 'limit_exceeded', 'stop'],
    [{ top_logprobs: 3 }, 'invalid_request', 'top_logprobs'],
    [{ logit_bias: { x: 1 } }, 'invalid_request', 'logit_bias'],
    [{ tools: [{ type: 'custom' }] }, 'unsupported', 'tools[0].type'],
    [{ tools: [{ function: { name: 'f', parameters: 3 } }] }, 'invalid_request', 'tools[0].function.parameters'],
    [
      { tools: [{ function: { name: 'f', parameters: { type: 'string' } } }] },
      'invalid_request',
      'tools[0].function.parameters.type',
    ],
    [{ tools: [{ function: {} }] }, 'invalid_request', 'tools[0].function.name'],
    [{ tools: [{ function: { name: '' } }] }, 'invalid_request', 'tools[0].function.name'],
    [{ tools: [{ function: { name: 'get weather' } }] }, 'invalid_request', 'tools[0].function.name'],
    [{ tools: [{ function: { name: '"}<|im_end|>' } }] }, 'invalid_request', 'tools[0].function.name'],
    [{ tools: [{ function: { name: 'größe' } }] }, 'invalid_request', 'tools[0].function.name'],
    [{ tools: [{ function: { name: 'x'.repeat(129) } }] }, 'invalid_request', 'tools[0].function.name'],
    [{ tool_choice: 'required' }, 'invalid_request', 'tool_choice'],
    [{ tool_choice: { type: 'function', function: { name: 'g' } } }, 'invalid_request', 'tool_choice.function.name'],
    [{ response_format: { type: 'xml' } }, 'invalid_request', 'response_format.type'],
    [{ guided_regex: 'a+' }, 'unsupported', 'guided_regex'],
    [{ modalities: ['audio'] }, 'unsupported', 'modalities'],
    [{ functions: [{}] }, 'unsupported', 'functions'],
    [{ min_tokens: 3, max_tokens: 2 }, 'invalid_request', 'min_tokens'],
    [{ include_stop_str_in_output: true, stop: 'a' }, 'unsupported', 'include_stop_str_in_output'],
    [{ stop_token_ids: [-1] }, 'invalid_request', 'stop_token_ids[0]'],
    [{ stop_token_ids: Array.from({ length: 99 }, () => 1) }, 'limit_exceeded', 'stop_token_ids'],
  ])('with %j is refused as %s at %s', (fields, code, param) => {
    expect(refusal(() => chat(fields))).toMatchObject({ code, param })
  })

  it('may ask for the samplers of llama-server, by its names; what is off is left out', () => {
    const draft = (fields: object) => chat(fields).drafts[0]
    const off = {
      typical_p: 1,
      xtc_probability: 0,
      xtc_threshold: 0.2,
      dry_multiplier: 0,
      dry_base: 2,
      mirostat: 0,
      mirostat_tau: 4,
      repeat_penalty: 1,
      repeat_last_n: 32,
      top_n_sigma: -1,
      dynatemp_range: 0,
    }
    expect(draft(off)).toEqual(draft({}))
    const on = {
      typical_p: 0.9,
      xtc_probability: 0.5,
      dry_multiplier: 0.8,
      dry_sequence_breakers: ['.'],
      mirostat: 2,
      repeat_penalty: 1.1,
      truncate_prompt_tokens: 7,
      enable_thinking: false,
    }
    expect(draft(on)).toMatchObject({
      typicalP: 0.9,
      xtc: { probability: 0.5, threshold: 0.1 },
      dry: { multiplier: 0.8, base: 1.75, allowedLength: 2, window: undefined, breakers: ['.'] },
      mirostat: { version: 2, tau: 5, eta: 0.1 },
      repetitionWindow: 64,
      sampling: { repetitionPenalty: 1.1 },
      truncatePromptTokens: 7,
      input: { chat: { templateVariables: { enable_thinking: false } } },
    })
    expect(draft({ truncate_prompt_tokens: -1 })).toMatchObject({ truncatePromptTokens: 'context' })
  })

  it('may set stream_options without stream: they mean nothing then', () => {
    expect(chat({ stream_options: { include_usage: true } }).stream).toBe(false)
  })

  it('may hold images, sounds, files and thinking as parts, in their order', () => {
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==', detail: 'low' } }
    const sound = { type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } }
    const file = { type: 'file', file: { file_data: 'data:application/pdf;base64,AA==', filename: 'a.pdf' } }
    const earlier = [
      { role: 'user', content: [{ type: 'text', text: 'What?' }, image, sound, file] },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'hm', signature: 's' },
          { type: 'text', text: 'A' },
        ],
      },
    ]
    expect(chat({ messages: [...earlier, ...messages] }).drafts[0]?.input).toMatchObject({
      chat: {
        messages: [
          {
            content: [
              { kind: 'text', text: 'What?' },
              { kind: 'image', url: 'data:image/png;base64,AA==', detail: 'low' },
              { kind: 'audio', data: 'AA==', format: 'wav' },
              { kind: 'file', data: 'data:application/pdf;base64,AA==', name: 'a.pdf' },
            ],
          },
          {
            content: [
              { kind: 'thinking', text: 'hm', signature: 's' },
              { kind: 'text', text: 'A' },
            ],
          },
          { content: 'hi' },
        ],
      },
    })
  })

  it('may hold answers without content: a refusal, or thinking alone', () => {
    const answers = [
      { role: 'assistant', content: null, refusal: 'No.' },
      { role: 'assistant', content: null, tool_calls: [], reasoning: 'hm' },
    ]
    const [draft] = chat({ messages: [...messages, ...answers, ...messages] }).drafts
    expect(draft?.input).toMatchObject({
      chat: {
        messages: [{}, { role: 'assistant', content: 'No.' }, { role: 'assistant', content: '', reasoning: 'hm' }, {}],
      },
    })
  })

  it('nested deeper than maxJsonDepth is refused before anything recursive sees it', () => {
    const text = `{"messages":[{"role":"user","content":"x"}],"chat_template_kwargs":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`
    expect(refusal(() => parseChatCall(parseJsonBody(Buffer.from(text)), limits))).toMatchObject({
      code: 'limit_exceeded',
    })
  })
})

describe('a completion body', () => {
  it('takes a text, texts, tokens, and lists of tokens', () => {
    const inputs = (prompt: unknown) => completion({ prompt }).drafts.map((draft) => draft.input)
    expect(inputs('a')).toEqual([{ kind: 'text', text: 'a' }])
    expect(inputs(['a', 'b'])).toEqual([
      { kind: 'text', text: 'a' },
      { kind: 'text', text: 'b' },
    ])
    expect(inputs([1, 2])).toEqual([{ kind: 'tokens', tokens: [1, 2] }])
    expect(inputs([[1], [2, 3]])).toEqual([
      { kind: 'tokens', tokens: [1] },
      { kind: 'tokens', tokens: [2, 3] },
    ])
  })

  it.each([
    [{ prompt: [] }, 'invalid_request', 'prompt'],
    [{ prompt: [1, 'a'] }, 'invalid_request', 'prompt[1]'],
    [{ prompt: ['a', 1] }, 'invalid_request', 'prompt[1]'],
    [{ prompt: [[1], []] }, 'invalid_request', 'prompt[1]'],
    [{ prompt: [-1] }, 'invalid_request', 'prompt[0]'],
    [{ suffix: 'x' }, 'unsupported', 'suffix'],
    [{ best_of: 1, n: 2 }, 'invalid_request', 'best_of'],
    [{ best_of: 2, stream: true }, 'invalid_request', 'best_of'],
    [{ logprobs: true }, 'invalid_request', 'logprobs'],
  ])('with %j is refused as %s at %s', (fields, code, param) => {
    expect(refusal(() => completion(fields))).toMatchObject({ code, param })
  })
})

/** Bodies that are nearly right: known names with values of every kind. */
const names = [
  ...'model messages prompt input query documents tokens stream stream_options max_tokens n stop logprobs top_logprobs logit_bias'.split(
    ' ',
  ),
  ...'tools tool_choice response_format structured_outputs guided_json guided_choice temperature top_p top_k seed best_of echo'.split(
    ' ',
  ),
  ...'suffix role content name type function parameters arguments tool_calls id json_schema schema chat_template_kwargs __proto__'.split(
    ' ',
  ),
]
const words = fc.constantFrom(
  'user',
  'assistant',
  'tool',
  'text',
  'function',
  'required',
  'auto',
  'json_schema',
  'scripted',
  'float',
  '',
)
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    words,
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...names), tie('value'), { maxKeys: 6 }),
  ),
}))
const message = fc.record({ role: fc.oneof(words, value), content: fc.oneof(fc.string(), value) }, { requiredKeys: [] })
const object = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 12 })
const nearlyRight = fc
  .tuple(
    fc.record(
      { messages: fc.array(message, { maxLength: 3 }), prompt: fc.string(), model: words },
      { requiredKeys: [] },
    ),
    object,
  )
  .map(([right, wrong]) => JSON.stringify({ ...right, ...wrong }))
const body = fc.oneof(
  { weight: 6, arbitrary: nearlyRight.map((text) => Buffer.from(text)) },
  { weight: 2, arbitrary: fc.tuple(nearlyRight, fc.nat(200)).map(([text, cut]) => Buffer.from(text).subarray(0, cut)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((each) => Buffer.from(each)) },
)

describe('10,000 fuzzed bodies', () => {
  it('are each read or refused with an error that maps to a 4xx', () => {
    const parsers = [
      parseChatCall,
      parseCompletionCall,
      parseEmbeddingCall,
      parseRerankCall,
      parseTokenizeCall,
      parseDetokenizeCall,
    ]
    let accepted = 0
    fc.assert(
      fc.property(body, fc.nat(parsers.length - 1), (bytes, at) => {
        try {
          parsers[at]?.(parseJsonBody(bytes), limits)
          accepted += 1
        } catch (error) {
          if (!(error instanceof TokenmillError)) throw error
          const { status, body } = toErrorReply(error)
          expect(status).toBeGreaterThanOrEqual(400)
          expect(status).toBeLessThan(500)
          expect(Object.keys(body.error)).toEqual(expect.arrayContaining(['message', 'type', 'param', 'code']))
        }
      }),
      { numRuns: 9000 },
    )
    // Bodies that only ever fail at their first field would test one line.
    expect(accepted).toBeGreaterThan(200)
  }, 60_000)

  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer(new ScriptedEngine(), { logLevel: 'silent' })
  })
  afterAll(async () => {
    await server.close(AbortSignal.abort())
  })

  it('are each answered over HTTP: a well-formed answer, stream or error, with a request id and one record', async () => {
    const paths = [
      '/v1/chat/completions',
      '/v1/completions',
      '/v1/embeddings',
      '/v1/rerank',
      '/tokenize',
      '/detokenize',
    ]
    let sent = 0
    await fc.assert(
      fc.asyncProperty(body, fc.constantFrom(...paths), async (bytes, path) => {
        const response = await fetch(server.url + path, { method: 'POST', body: new Uint8Array(bytes) })
        const text = await response.text()
        sent += 1
        expect(response.headers.get('x-request-id')).toMatch(/^req-/)
        if (response.headers.get('content-type')?.startsWith('text/event-stream') === true) {
          expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
          return
        }
        const answer = JSON.parse(text) as { error?: { message: string } }
        expect(response.ok).toBe(answer.error === undefined)
        expect([200, 400, 404]).toContain(response.status)
      }),
      { numRuns: 1000 },
    )
    while (server.records.length < sent) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(server.records).toHaveLength(sent)
    expect(server.records.filter((record) => record.outcome === 'failed')).toEqual([])
  }, 60_000)
})
