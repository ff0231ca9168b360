import type { FinishReason } from './outcome.ts'

/**
 * What an engine says while it generates, in order:
 *
 *   prefilled (text | reasoning | toolCall)* finished   … for each continuation, interleaved; then usage, once.
 *
 * `prefilled` may be missing: most remote engines tell the length of the prompt only at the end.
 *
 * An error ends the stream by throwing a TokenmillError; tokens generated until then stay billed.
 */
export type GenerationEvent = PrefilledEvent | TextEvent | ReasoningEvent | ToolCallEvent | FinishedEvent | UsageEvent

/** The prompt is in the KV cache; the first token follows. */
export interface PrefilledEvent {
  readonly type: 'prefilled'
  readonly promptTokens: number
  /** How many of them were found in the KV cache; undefined where the engine does not say. */
  readonly cachedTokens: number | undefined
  readonly promptLogprobs?: readonly TokenLogprobs[]
  /**
   * Keywords of tools' schemas that this generation does not hold, each with the tool's name: `search uniqueItems`. Tools
   * that are not strict are served all the same. Absent: none.
   */
  readonly unenforced?: readonly string[]
}

/** Text of the answer. May carry several tokens, or half of one (then `tokens` counts it with the other half). */
export interface TextEvent {
  readonly type: 'text'
  /** Which continuation, 0 ≤ index < n. */
  readonly index: number
  readonly text: string
  /** Generated tokens that this event accounts for. */
  readonly tokens: number
  readonly logprobs?: readonly TokenLogprobs[]
}

/** Text that the model marks as thinking; never part of the answer. */
export interface ReasoningEvent {
  readonly type: 'reasoning'
  readonly index: number
  readonly text: string
  readonly tokens: number
  readonly logprobs?: readonly TokenLogprobs[]
}

/** A piece of a tool call. The first piece of each call brings `id` and `name`; later ones only more of the arguments. */
export interface ToolCallEvent {
  readonly type: 'toolCall'
  readonly index: number
  /** Position of the call in this continuation, from 0. */
  readonly call: number
  readonly id?: string
  readonly name?: string
  readonly arguments: string
  readonly tokens: number
}

/** One continuation is complete. */
export interface FinishedEvent {
  readonly type: 'finished'
  readonly index: number
  readonly reason: FinishReason
  /** The stop text, or the id of the stop token, that the request named and that ended it; undefined for every other end. */
  readonly stopReason?: string | number
}

export interface UsageEvent {
  readonly type: 'usage'
  readonly usage: TokenUsage
}

export interface TokenUsage {
  readonly promptTokens: number
  /** Of the prompt's tokens, those served from the KV cache; undefined where the engine does not say: unknown, never 0. */
  readonly cachedTokens: number | undefined
  /** Over all continuations, reasoning included. */
  readonly completionTokens: number
  /** A remote engine gave no usage: these are counted here, by events and by length. */
  readonly estimated?: boolean
  readonly reasoningTokens: number | undefined
}

export interface TokenLogprobs {
  readonly token: TokenLogprob
  /** The k most likely tokens at this place, most likely first. */
  readonly top: readonly TokenLogprob[]
}

export interface TokenLogprob {
  /** −1 where a remote engine does not tell it. */
  readonly id: number
  /** The token's bytes: it may be a part of a character. */
  readonly bytes: Uint8Array
  /** Natural log of its probability. −Infinity for the first token of a prompt, which has no predecessor. */
  readonly logprob: number
}
