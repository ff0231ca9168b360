import type { Random } from '../core/index.ts'
import type { GgufValue } from './gguf-header.ts'

/** A SentencePiece vocabulary: pieces by token id. */
export interface RandomVocabulary {
  readonly pieces: readonly string[]
  /** Tokens below this id are controls and bytes; the others are text of their own. */
  readonly firstTextId: number
}

/** `enum llama_token_type` in llama.cpp's include/llama.h. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, byte: 6 } as const
const alphabet = ' abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?\'"()[]{}<>+-*/=_|\\@#$%&^~`\n'

/**
 * Made-up words over printable ASCII:
 *
 *   0 <unk> · 1 <s> · 2 </s> · 3–258 the bytes · from 259 one piece a character, then words
 *
 * Each word joins two earlier pieces and merges later than they do, so SentencePiece's merging reaches every one.
 */
export function createRandomVocabulary(size: number, random: Random): RandomVocabulary {
  const characters = Array.from(alphabet.replace(' ', '▁'))
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
  const pieces = ['<unk>', '<s>', '</s>', ...bytes]
  const firstTextId = pieces.length
  pieces.push(...characters)
  if (size < pieces.length) throw new RangeError(`Vocabulary size is ${size}; it must be ≥ ${pieces.length}.`)
  // Words are made of the space mark and small letters: 27 pieces to begin with.
  const parts = pieces.slice(firstTextId, firstTextId + 27)
  const known = new Set(pieces)
  while (pieces.length < size) {
    const left = parts[Math.floor(random() * parts.length)] ?? ''
    const right = parts[1 + Math.floor(random() * (parts.length - 1))] ?? ''
    const word = left + right
    if (word.length > 12 || right.startsWith('▁') || known.has(word)) continue
    known.add(word)
    parts.push(word)
    pieces.push(word)
  }
  return { pieces, firstTextId }
}

/** The vocabulary as llama.cpp's `tokenizer.ggml.*` keys. Earlier pieces score higher, so they merge first. */
export function vocabularyMetadata({ pieces, firstTextId }: RandomVocabulary): Record<string, GgufValue> {
  const types = pieces.map((_, id) => {
    if (id === 0) return tokenTypes.unknown
    if (id < 3) return tokenTypes.control
    return id < firstTextId ? tokenTypes.byte : tokenTypes.normal
  })
  const scores = pieces.map((_, id) => (id < firstTextId ? 0 : firstTextId - id))
  return {
    'tokenizer.ggml.model': { type: 'string', value: 'llama' },
    'tokenizer.ggml.pre': { type: 'string', value: 'default' },
    'tokenizer.ggml.tokens': { type: 'array', of: 'string', values: pieces },
    'tokenizer.ggml.scores': { type: 'array', of: 'float32', values: scores },
    'tokenizer.ggml.token_type': { type: 'array', of: 'int32', values: types },
    'tokenizer.ggml.bos_token_id': { type: 'uint32', value: 1 },
    'tokenizer.ggml.eos_token_id': { type: 'uint32', value: 2 },
    'tokenizer.ggml.unknown_token_id': { type: 'uint32', value: 0 },
    'tokenizer.ggml.add_bos_token': { type: 'bool', value: true },
    'tokenizer.chat_template': { type: 'string', value: chatTemplate },
  }
}

/** Plain roles in text: random weights have learnt no control tokens. */
const chatTemplate =
  "{{ bos_token }}{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
