import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultValues } from '../../src/core/index.ts'
import { createEmbeddedEngine } from '../../src/engine/index.ts'
import { engineOptions } from '../../src/engine/options.ts'
import type { ChatInput, Engine } from '../../src/inference/index.ts'

const never = new AbortController().signal
const cases = JSON.parse(readFileSync(new URL('tokenizer-cases.json', import.meta.url), 'utf8')) as readonly {
  readonly text: string
  /** The text is a user's message, and the tokens are those of the dialogue that it opens. */
  readonly chat: boolean
  readonly tokens: readonly number[]
}[]

let engine: Engine

beforeAll(async () => {
  const file = fileURLToPath(new URL('nano.gguf', import.meta.url))
  engine = createEmbeddedEngine({ path: file, name: 'nano' }, { ...defaultValues(engineOptions), slots: 1 })
  await engine.ready(never)
}, 60_000)

afterAll(() => engine.close())

const tokensOf = async (text: string) =>
  (await engine.tokenize?.('nano', { kind: 'text', text, addSpecialTokens: false }, never)) ?? []

/** The tokens of a dialogue with one message, ready for its answer. */
async function chatTokensOf(text: string): Promise<readonly number[]> {
  const chat: ChatInput = {
    messages: [{ role: 'user', content: text }],
    tools: [],
    toolChoice: { kind: 'none' },
    parallelToolCalls: false,
    reasoningEffort: undefined,
    templateVariables: {},
    continueFinalMessage: false,
  }
  return (await engine.tokenize?.('nano', { kind: 'chat', chat }, never)) ?? []
}

describe('the tokenizer of nano.gguf', () => {
  it('gives in libllama the tokens that the trainer gave', async () => {
    expect(cases.length).toBeGreaterThan(10)
    for (const { text, chat, tokens } of cases) {
      expect(await (chat ? chatTokensOf(text) : tokensOf(text)), JSON.stringify(text)).toEqual(tokens)
    }
  })

  it('makes each digit a token of its own', async () => {
    expect(await tokensOf('4738')).toHaveLength(4)
  })

  it('returns any text unchanged, also what it has never seen', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), async (text) => {
        fc.pre(!text.includes('\u0000'))
        expect(await engine.detokenize?.('nano', await tokensOf(text), never)).toBe(text)
      }),
      { numRuns: 60 },
    )
  }, 60_000)
})
