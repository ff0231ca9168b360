import { afterEach, describe, expect, it, vi } from 'vitest'
import { defaultValues, systemClock } from '../../core/index.ts'
import type { ChatInput, JsonSchema, OutputConstraint } from '../../inference/index.ts'
import { engineOptions, type EngineOptionValues } from '../options.ts'
import { createRequest } from '../../../tests/support/generation-request.ts'
import { RequestPreparer } from './request-preparer.ts'

// On this thread, which would be the server's, neither templates nor schemas can be run: whatever works, works elsewhere.
vi.mock('../../model/chat-template.ts', () => ({
  compileChatTemplate: () => {
    throw new Error('A template was compiled on the thread that serves clients.')
  },
}))
vi.mock('../grammar/index.ts', () => {
  throw new Error('The compiler of schemas was loaded on the thread that serves clients.')
})

const template =
  "{% set what = messages[0].content %}{% if what == 'loop' %}" +
  '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}' +
  "{% elif what == 'grow' %}{% set kept = namespace(list=[0]) %}" +
  '{% for a in range(40) %}{% set kept.list = kept.list + kept.list %}{% endfor %}' +
  '{% else %}<{{ what }}>{% endif %}'

const never = (): AbortSignal => new AbortController().signal
const open: RequestPreparer[] = []

function preparer(changes: Partial<EngineOptionValues> = {}): RequestPreparer {
  const options = { ...defaultValues(engineOptions), ...changes }
  const source = { chatTemplate: template, bosToken: undefined, eosToken: undefined }
  const made = new RequestPreparer(source, options, systemClock)
  open.push(made)
  return made
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

function asking(content: string, constraint?: OutputConstraint) {
  const chat: ChatInput = {
    messages: [{ role: 'user', content }],
    tools: [],
    toolChoice: { kind: 'auto' },
    parallelToolCalls: true,
    reasoningEffort: undefined,
    templateVariables: {},
    continueFinalMessage: false,
  }
  return createRequest({ input: { kind: 'chat', chat }, ...(constraint && { constraint }) })
}

describe('RequestPreparer', { timeout: 60_000 }, () => {
  it('renders a chat and compiles its schema in threads beside the one that serves', async () => {
    const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] }
    const request = asking('grind', { kind: 'jsonSchema', name: 'a', strict: true, schema })
    const { rendered, constraint } = await preparer().prepare(request, undefined, never())
    expect(rendered?.prompt).toBe('<grind>')
    expect(rendered?.answer.convention.reader).toBeTypeOf('function')
    expect(constraint?.gbnf).toContain('root ::=')
  })

  it('ends a template that runs too long, and serves the next request', async () => {
    const short = preparer({ maxPreparationMs: 1000 })
    await expect(short.prepare(asking('loop'), undefined, never())).rejects.toMatchObject({
      code: 'limit_exceeded',
      details: { limit: 'maxPreparationMs', maximum: 1000 },
    })
    expect((await short.prepare(asking('grind'), undefined, never())).rendered?.prompt).toBe('<grind>')
  })

  it('lets go of a request whose client leaves while its template runs', async () => {
    const patient = preparer()
    const looping = new AbortController()
    const stuck = patient.prepare(asking('loop'), undefined, looping.signal)
    looping.abort()
    await expect(stuck).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('ends a template whose values outgrow the memory for it, and serves the next request', async () => {
    const small = preparer({ maxPreparationBytes: 32 * 2 ** 20 })
    await expect(small.prepare(asking('grow'), undefined, never())).rejects.toMatchObject({
      code: 'limit_exceeded',
      details: { limit: 'maxPreparationBytes' },
    })
    expect((await small.prepare(asking('grind'), undefined, never())).rendered?.prompt).toBe('<grind>')
  })

  it('refuses a prompt that no tokenizer could fit by its bytes', async () => {
    const limit = { contextTokens: 10, longestTokenBytes: 8 }
    const { rendered } = await preparer().prepare(asking('é'.repeat(39)), limit, never())
    expect(rendered?.prompt).toHaveLength(41)
    await expect(preparer().prepare(asking('é'.repeat(40)), limit, never())).rejects.toMatchObject({
      code: 'context_length_exceeded',
      details: { maximum: 80, actual: 82, unit: 'bytes' },
    })
  })

  it('refuses schemas and tools by their size before a thread sees them, looking no further than the limit', async () => {
    let seen = 0
    const endless = Array.from({ length: 1000 }, () => ({
      get text() {
        seen += 1
        return 'x'.repeat(100)
      },
    }))
    const request = asking('grind', { kind: 'jsonSchema', name: 'a', strict: true, schema: { enum: endless } })
    await expect(preparer({ maxConstraintBytes: 1000 }).prepare(request, undefined, never())).rejects.toMatchObject({
      code: 'limit_exceeded',
      details: { limit: 'maxConstraintBytes' },
    })
    expect(seen).toBeLessThan(20)
    let nested: JsonSchema = {}
    for (let depth = 0; depth < 100_000; depth += 1) nested = { not: nested }
    const deep = asking('grind', { kind: 'jsonSchema', name: 'a', strict: true, schema: nested })
    await expect(preparer().prepare(deep, undefined, never())).rejects.toMatchObject({
      details: { limit: 'schema nesting' },
    })
  })

  it('fails what waits when it is closed', async () => {
    const closing = preparer()
    const waiting = closing.prepare(asking('loop'), undefined, never())
    await Promise.all([closing.close(), expect(waiting).rejects.toMatchObject({ code: 'cancelled' })])
  })
})
