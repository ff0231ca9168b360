import { describe, expect, it } from 'vitest'
import { createRandom } from '../../core/index.ts'
import type { ChatInput, GenerationEvent, TokenLogprobs } from '../../inference/index.ts'
import { createChatFormat } from '../chat-format.ts'
import { AnswerEvents } from './answer-events.ts'

const chat: ChatInput = {
  messages: [{ role: 'user', content: 'Hi' }],
  tools: [{ name: 'clock', description: undefined, parameters: undefined, strict: false }],
  toolChoice: { kind: 'auto' },
  parallelToolCalls: true,
  reasoningEffort: undefined,
  templateVariables: {},
  continueFinalMessage: false,
}
const chatTemplate = '{% for m in messages %}{{ m.content }}{% endfor %}{# <think> <tool_call> #}'
const { answer } = createChatFormat({ chatTemplate, bosToken: undefined, eosToken: undefined }).render(chat)

/** The bytes cut at random: characters may be in two tokens. */
function cutIntoTokens(text: string, seed: number): readonly TokenLogprobs[] {
  const random = createRandom(seed)
  const bytes = Buffer.from(text)
  const tokens: TokenLogprobs[] = []
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + 1 + Math.floor(random() * 6))
    tokens.push({ token: { id: tokens.length, bytes: bytes.subarray(at, end), logprob: -1 }, top: [] })
    at = end
  }
  return tokens
}

/** What comes of the tokens, of which the text shows `shown` characters: the rest is a stop text. */
function read(text: string, shown: number, seed: number, parsed: boolean): GenerationEvent[] {
  const events = new AnswerEvents(0, parsed ? { input: chat, answer } : undefined)
  const decoder = new TextDecoder()
  const told: GenerationEvent[] = []
  let left = shown
  for (const token of cutIntoTokens(text, seed)) {
    const piece = decoder.decode(token.token.bytes, { stream: true }).slice(0, left)
    left -= piece.length
    told.push(...events.push({ text: piece, tokens: 1, logprobs: [token] }))
  }
  return [...told, ...events.end(shown < text.length)]
}

function joined(events: readonly GenerationEvent[], type: 'text' | 'reasoning') {
  const own = events
    .flatMap((event) => (event.type === 'text' || event.type === 'reasoning' ? [event] : []))
    .filter((event) => event.type === type)
  const tokens = own.flatMap((event) => event.logprobs ?? [])
  return {
    text: own.map((event) => event.text).join(''),
    tokens: Buffer.concat(tokens.map(({ token }) => token.bytes)).toString(),
    ids: tokens.map(({ token }) => token.id),
  }
}

describe('AnswerEvents', () => {
  const thought =
    '<think>\nÜber 2 < 3 🙂\n</think>\n\nIt is  “half” past.\n<tool_call>{"name": "clock"}</tool_call> Done. 🙂STOP'

  it('gives log-probabilities whose tokens, joined, are the text and the thinking, from every cut', () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const events = read(thought, thought.length - 4, seed, true)
      const content = joined(events, 'text')
      expect(content.text, `seed ${seed}`).toBe('It is  “half” past.Done. 🙂')
      expect(content.tokens, `seed ${seed}`).toBe(content.text)
      const reasoning = joined(events, 'reasoning')
      expect(reasoning.text, `seed ${seed}`).toBe('Über 2 < 3 🙂')
      expect(reasoning.tokens, `seed ${seed}`).toBe(reasoning.text)
      // No token is told twice.
      expect(new Set(content.ids).size).toBe(content.ids.length)
    }
  })

  it('leaves out the tokens of a stop text in plain text, too', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const { text, tokens } = joined(read('the numberSTOP', 10, seed, false), 'text')
      expect(text).toBe('the number')
      expect(tokens, `seed ${seed}`).toBe(text)
    }
  })

  it('counts every token once', () => {
    const events = read(thought, thought.length, 5, true)
    const counted = events.reduce((sum, event) => sum + ('tokens' in event ? event.tokens : 0), 0)
    expect(counted).toBe(cutIntoTokens(thought, 5).length)
  })
})
