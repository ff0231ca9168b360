import OpenAI from 'openai'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { serveNano, type ServedNano } from './served-nano.ts'

/** What OpenAI's own SDK relies on, against the real server and the model in the box. */
const model = 'nano'
let served: ServedNano
let client: OpenAI

beforeAll(async () => {
  served = await serveNano()
  client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: 'none', maxRetries: 0 })
})

afterAll(async () => {
  await served.stop()
})

const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Get the weather of a city',
    parameters: {
      type: 'object',
      properties: {
        city: { type: 'string', maxLength: 20 },
        unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
      },
      required: ['city', 'unit'],
      additionalProperties: false,
    },
    strict: true,
  },
} as const
const clock = {
  type: 'function',
  function: { name: 'get_time', parameters: { type: 'object', properties: {}, additionalProperties: false } },
} as const
const question = [{ role: 'user', content: 'What is the weather in Paris?' }] as const
const callArguments = z.strictObject({ city: z.string().max(20), unit: z.enum(['celsius', 'fahrenheit']) })

describe('openai: chat.completions.stream()', () => {
  it('accumulates the same text that it streamed, with usage', async () => {
    const stream = client.chat.completions.stream({
      model,
      messages: [{ role: 'user', content: 'Hello!' }],
      max_tokens: 40,
      temperature: 0,
      stream_options: { include_usage: true },
    })
    let text = ''
    stream.on('content', (delta) => (text += delta))
    const completion = await stream.finalChatCompletion()
    expect(completion.choices[0]?.message.content).toBe(text)
    expect(completion.usage?.completion_tokens).toBeGreaterThan(0)
  })

  it('streams a required call in deltas that add up, and ends with tool_calls', async () => {
    const stream = client.chat.completions.stream({
      model,
      messages: [...question],
      tools: [weather],
      tool_choice: 'required',
      parallel_tool_calls: false,
      max_tokens: 200,
    })
    const deltas: string[] = []
    stream.on('tool_calls.function.arguments.delta', (event) => deltas.push(event.arguments_delta))
    const { choices } = await stream.finalChatCompletion()
    const [call] = choices[0]?.message.tool_calls ?? []
    expect(choices[0]?.finish_reason).toBe('tool_calls')
    expect(call?.type === 'function' && call.function.name).toBe('get_weather')
    const text = call?.type === 'function' ? call.function.arguments : ''
    expect(deltas.join('')).toBe(text)
    callArguments.parse(JSON.parse(text))
  })

  it('gives the first delta of a call its id, type and name, and later ones arguments alone', async () => {
    const stream = await client.chat.completions.create({
      model,
      messages: [...question],
      tools: [weather],
      tool_choice: 'required',
      stream: true,
      max_tokens: 200,
    })
    const seen = new Set<number>()
    for await (const chunk of stream) {
      for (const delta of chunk.choices[0]?.delta.tool_calls ?? []) {
        if (seen.has(delta.index)) {
          expect(delta.id).toBeUndefined()
          expect(delta.function?.name).toBeUndefined()
        } else {
          expect(delta).toMatchObject({ id: expect.stringMatching(/^call/), type: 'function' })
          expect(delta.function?.name).toBe('get_weather')
          seen.add(delta.index)
        }
      }
    }
    expect(seen.size).toBeGreaterThan(0)
  })
})

describe('openai: tool_choice', () => {
  const create = (
    tool_choice: OpenAI.ChatCompletionToolChoiceOption,
    tools: OpenAI.ChatCompletionTool[] = [weather, clock],
  ) =>
    client.chat.completions.create({
      model,
      messages: [...question],
      tools,
      tool_choice,
      max_tokens: 200,
      parallel_tool_calls: false,
    })

  it('calls the named function, and ends with stop as OpenAI does', async () => {
    const { choices } = await create({ type: 'function', function: { name: 'get_time' } })
    const [call] = choices[0]?.message.tool_calls ?? []
    expect(call).toMatchObject({
      type: 'function',
      function: { name: 'get_time', arguments: expect.stringMatching(/^\{\s*\}$/) },
    })
    expect(choices[0]?.finish_reason).toBe('stop')
  })

  it('calls none where none may be called', async () => {
    const { choices } = await create('none')
    expect(choices[0]?.message.tool_calls).toBeUndefined()
  })

  it('refuses a name that is no tool', async () => {
    await expect(create({ type: 'function', function: { name: 'absent' } })).rejects.toMatchObject({
      status: 400,
      param: 'tool_choice.function.name',
    })
  })

  it('gives calls of many requests identifiers of their own', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => create('required')))
    const ids = answers.flatMap(({ choices }) => choices[0]?.message.tool_calls?.map(({ id }) => id) ?? [])
    expect(ids).toHaveLength(6)
    expect(new Set(ids).size).toBe(6)
  })
})

describe('openai: parse()', () => {
  const Order = z.object({
    id: z.uuid(),
    customer: z.object({ name: z.string().max(12), email: z.email().max(24) }),
    lines: z
      .array(z.object({ article: z.enum(['tea', 'coffee']), count: z.int().min(1).max(99) }))
      .min(1)
      .max(3),
    note: z.string().max(20).nullable(),
    due: z.iso.date(),
  })

  it('gives a value of the schema, streamed and not', async () => {
    const body = {
      model,
      messages: [{ role: 'user', content: 'Order some tea.' }],
      response_format: zodResponseFormat(Order, 'order'),
      max_tokens: 700,
    } satisfies Parameters<typeof client.chat.completions.parse>[0]
    const { choices } = await client.chat.completions.parse(body)
    expect(Order.parse(choices[0]?.message.parsed)).toBeTruthy()
    const streamed = await client.chat.completions.stream(body).finalChatCompletion()
    expect(Order.parse(streamed.choices[0]?.message.parsed)).toBeTruthy()
  })

  it('follows recursive schemas', async () => {
    const Tree: z.ZodType<{ label: string; children: unknown[] }> = z.lazy(() =>
      z.object({ label: z.enum(['leaf', 'branch']), children: z.array(Tree).max(2) }),
    )
    const { choices } = await client.chat.completions.create({
      model,
      messages: [{ role: 'user', content: 'A tree, please.' }],
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'tree', strict: true, schema: z.toJSONSchema(Tree) },
      },
      max_tokens: 300,
    })
    if (choices[0]?.finish_reason === 'stop')
      expect(Tree.parse(JSON.parse(choices[0].message.content ?? ''))).toBeTruthy()
  })

  it('names the keyword that cannot be enforced', async () => {
    const schema = {
      type: 'object',
      properties: { tags: { type: 'array', uniqueItems: true, items: { type: 'string' } } },
    }
    const refused = client.chat.completions.create({
      model,
      messages: [{ role: 'user', content: 'Tags!' }],
      response_format: { type: 'json_schema', json_schema: { name: 'tags', schema } },
    })
    await expect(refused).rejects.toMatchObject({
      status: 400,
      param: expect.stringMatching(/properties\.tags\.uniqueItems$/),
    })
  })
})

describe('openai: runTools() and embeddings', () => {
  it('calls the function and sends its result back', async () => {
    const cities: string[] = []
    const runner = client.chat.completions.runTools(
      {
        model,
        messages: [...question],
        tool_choice: 'required',
        tools: [
          zodFunction({
            name: 'get_weather',
            parameters: z.object({ city: z.string().max(20) }),
            function: ({ city }) => {
              cities.push(city)
              return 'sunny'
            },
          }),
        ],
        max_tokens: 200,
      },
      { maxChatCompletions: 2 },
    )
    await runner.done()
    expect(cities.length).toBeGreaterThan(0)
    expect(runner.messages.some((message) => message.role === 'tool' && message.content === 'sunny')).toBe(true)
  })

  it('embeds, the same in base64 (the SDK’s own choice) and as floats', async () => {
    const input = ['one', 'two words']
    const packed = await client.embeddings.create({ model, input })
    const plain = await client.embeddings.create({ model, input, encoding_format: 'float' })
    expect(packed.data).toHaveLength(2)
    for (const [at, { embedding }] of packed.data.entries()) {
      expect(Math.hypot(...embedding)).toBeCloseTo(1, 3)
      expect(embedding.length).toBe(plain.data[at]?.embedding.length)
      expect(embedding[0]).toBeCloseTo(plain.data[at]?.embedding[0] ?? Number.NaN, 4)
    }
  })
})
