import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from 'ai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { serveNano, type ServedNano } from './served-nano.ts'

/** What the AI SDK relies on, against the real server and the model in the box. */
let served: ServedNano
let provider: ReturnType<typeof createOpenAICompatible>

beforeAll(async () => {
  served = await serveNano()
  provider = createOpenAICompatible({
    name: 'tokenmill',
    baseURL: `${served.url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  })
})

afterAll(async () => {
  await served.stop()
})

describe('ai with @ai-sdk/openai-compatible', () => {
  it('writes text, at once and as a stream, and knows the tokens', async () => {
    const call = { model: provider('nano'), prompt: 'Hello!', temperature: 0, maxOutputTokens: 40 }
    const whole = await generateText(call)
    expect(whole.text).not.toBe('')
    expect(whole.usage.outputTokens).toBeGreaterThan(0)
    const stream = streamText(call)
    let text = ''
    for await (const part of stream.textStream) text += part
    expect(text).toBe(whole.text)
    expect((await stream.usage).outputTokens).toBe(whole.usage.outputTokens)
  })

  it('gives objects of a schema, at once and growing', async () => {
    const schema = z.object({
      name: z.string().max(12),
      size: z.enum(['small', 'large']),
      parts: z.array(z.int()).max(3),
    })
    const call = {
      model: provider('nano'),
      prompt: 'Invent a machine.',
      output: Output.object({ schema }),
      maxOutputTokens: 300,
    }
    expect(schema.parse((await generateText(call)).output)).toBeTruthy()
    const stream = streamText(call)
    let last: unknown
    for await (const partial of stream.partialOutputStream) last = partial
    expect(schema.parse(last)).toBeTruthy()
  })

  it('calls tools with arguments of their schemas, in both ways', async () => {
    const inputSchema = z.object({ city: z.string().max(20) })
    const tools = {
      get_weather: tool({ description: 'Get the weather', inputSchema, execute: ({ city }) => `sunny in ${city}` }),
    }
    const call = {
      model: provider('nano'),
      prompt: 'What is the weather in Paris?',
      tools,
      toolChoice: 'required' as const,
      stopWhen: stepCountIs(2),
      maxOutputTokens: 200,
    }
    const { steps } = await generateText(call)
    expect(steps[0]?.toolCalls[0]).toMatchObject({ toolName: 'get_weather' })
    expect(inputSchema.parse(steps[0]?.toolCalls[0]?.input)).toBeTruthy()
    expect(steps[0]?.toolResults[0]?.output).toMatch(/^sunny in /)
    const streamed = streamText({ ...call, stopWhen: stepCountIs(1) })
    const types = new Set<string>()
    for await (const part of streamed.fullStream) types.add(part.type)
    expect(types).toContain('tool-input-delta')
    expect(types).toContain('tool-call')
    expect(types).not.toContain('error')
  })

  it('embeds', async () => {
    const { embeddings } = await embedMany({ model: provider.embeddingModel('nano'), values: ['one', 'two'] })
    expect(embeddings).toHaveLength(2)
    for (const embedding of embeddings) expect(Math.hypot(...embedding)).toBeCloseTo(1, 3)
  })
})
