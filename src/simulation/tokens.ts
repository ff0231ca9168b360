import type { Random } from '../core/index.ts'
import { textOf, type ChatInput, type GenerationInput } from '../inference/index.ts'
import { words } from '../workload/index.ts'
import { hashText } from './token-hash.ts'

/**
 * The simulated tokenizer: a token is a word with the blanks before it, so that a test knows each count by reading the prompt.
 * Its id is a hash. A chat is its messages one after the other, each led by one token for its role. An empty prompt is one token, as
 * engines that begin each text with a token of its own have it.
 */
export function toTokens(input: GenerationInput): readonly number[] {
  const tokens = input.kind === 'tokens' ? input.tokens : textTokens(input)
  return tokens.length > 0 ? tokens : [0]
}

function textTokens(input: Exclude<GenerationInput, { kind: 'tokens' }>): readonly number[] {
  const text = input.kind === 'text' ? input.text : renderChat(input.chat)
  return (text.match(/\s*\S+/g) ?? []).map((token) => hashText(token))
}

export function renderChat({ messages }: Pick<ChatInput, 'messages'>): string {
  return messages.map(({ role, content }) => `<|${role}|> ${textOf(content)}`).join('\n')
}

/** One of the words that generated text consists of, as a token. */
export function drawWord(random: Random): { readonly text: string; readonly id: number } {
  return vocabulary[Math.floor(random() * vocabulary.length)] ?? { text: ' ', id: 0 }
}

const vocabulary = words.map((word) => ({ text: ` ${word}`, id: hashText(` ${word}`) }))
