import type { TokenLogprob, TokenLogprobs } from '../../inference/index.ts'

/** OpenAI's stand-in for the log of zero: JSON has no infinity. */
const floor = -9999

export interface ChatLogprob {
  readonly token: string
  readonly logprob: number
  readonly bytes: readonly number[]
}

export interface ChatTokenLogprobs extends ChatLogprob {
  readonly top_logprobs: readonly ChatLogprob[]
}

/** Chat's form: the token's text (with U+FFFD for half characters) and its very bytes. */
export function toChatLogprobs(tokens: readonly TokenLogprobs[]): ChatTokenLogprobs[] {
  return tokens.map(({ token, top }) => ({ ...toChatLogprob(token), top_logprobs: top.map(toChatLogprob) }))
}

function toChatLogprob(token: TokenLogprob): ChatLogprob {
  return { token: tokenText(token), logprob: finite(token.logprob), bytes: [...token.bytes] }
}

/** The form of /v1/completions: four parallel arrays. */
export interface CompletionLogprobs {
  tokens: string[]
  token_logprobs: (number | null)[]
  top_logprobs: (Record<string, number> | null)[]
  text_offset: number[]
}

/**
 * Where the first token of an echoed prompt starts in its text, in UTF-16 units: before it, where the tokens spell more
 * than the text (a beginning-of-sequence mark, a space put before the first word), so that the answer starts right behind it.
 */
export function echoOffset(text: string, tokens: readonly TokenLogprobs[]): number {
  return text.length - tokens.reduce((sum, { token }) => sum + tokenText(token).length, 0)
}

/** `offset` is where the first of the tokens starts in the whole text, in UTF-16 units. */
export function toCompletionLogprobs(tokens: readonly TokenLogprobs[], offset: number): CompletionLogprobs {
  const logprobs: CompletionLogprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] }
  let at = offset
  for (const { token, top } of tokens) {
    const text = tokenText(token)
    // The first token of a prompt has no predecessor to be likely after.
    const first = token.logprob === -Infinity && top.length === 0
    logprobs.tokens.push(text)
    logprobs.token_logprobs.push(first ? null : finite(token.logprob))
    // The token itself is always among them, likely or not: k + 1 entries at most, as OpenAI has it.
    const shown = top.some(({ id, logprob }) => id === token.id && logprob === token.logprob) ? top : [...top, token]
    const entries = shown.map((each) => [tokenText(each), finite(each.logprob)] as const)
    logprobs.top_logprobs.push(first || top.length === 0 ? null : Object.fromEntries(entries))
    logprobs.text_offset.push(Math.max(0, at))
    at += text.length
  }
  return logprobs
}

export function tokenText(token: TokenLogprob): string {
  return Buffer.from(token.bytes.buffer, token.bytes.byteOffset, token.bytes.byteLength).toString('utf8')
}

export function finite(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : floor
}
