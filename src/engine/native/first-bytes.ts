import type { LlamaModel } from './llama-model.ts'
import { LlamaVocabulary } from './llama-vocabulary.ts'

/** The tokens of a vocabulary by the first byte of their text. */
export interface FirstBytes {
  /** Tokens whose text is one byte: where a grammar forbids one, it forbids all that begin with that byte. */
  readonly singles: Int32Array
  /** By byte. Tokens without text are nowhere: no grammar allows them. */
  readonly groups: readonly Int32Array[]
  /** Bytes that begin some text and are no token of their own: their groups have to be tried whole. */
  readonly unsettled: readonly number[]
  /** Tokens that end a generation: allowed where the grammar is complete, whatever their text. */
  readonly ends: Int32Array
}

const known = new WeakMap<LlamaModel, FirstBytes>()

/** Made once a model: some hundred milliseconds for 128,000 tokens. */
export function firstBytesOf(model: LlamaModel): FirstBytes {
  const made = known.get(model) ?? group(model)
  known.set(model, made)
  return made
}

function group(model: LlamaModel): FirstBytes {
  const vocabulary = new LlamaVocabulary(model)
  const groups: number[][] = Array.from({ length: 256 }, () => [])
  const singles = new Map<number, number>()
  const ends: number[] = []
  for (let token = 0; token < model.facts.vocabularySize; token += 1) {
    if (vocabulary.isEndOfGeneration(token)) {
      ends.push(token)
      continue
    }
    const piece = vocabulary.piece(token, true)
    const [first] = piece
    if (first === undefined) continue
    groups[first]?.push(token)
    if (piece.length === 1) singles.set(first, token)
  }
  return {
    ends: Int32Array.from(ends),
    singles: Int32Array.from(singles.values()),
    groups: groups.map((tokens) => Int32Array.from(tokens)),
    unsettled: groups.flatMap((tokens, byte) => (tokens.length > 0 && !singles.has(byte) ? [byte] : [])),
  }
}
