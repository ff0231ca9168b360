import { forEachElement, ObjectScanner, toKeyBytes } from './json-scan.ts'
import type { Edit } from './splice.ts'
import { failedFinishReasons } from './upstream-failure.ts'

const choiceKeys = ['index', 'delta', 'message', 'text', 'finish_reason', 'matched_stop', 'stop_reason'] as const
const deltaKeys = [
  'content',
  'reasoning',
  'reasoning_content',
  'tool_calls',
  'refusal',
  'role',
  'reasoning_details',
  'function_call',
  'audio',
] as const

const choiceKeyBytes = toKeyBytes(choiceKeys)
const deltaKeyBytes = toKeyBytes(deltaKeys)

/**
 * Reads the `choices` of a chunk or of a whole answer without parsing them: is there output in them, has a choice
 * ended, and what must be mended so that every client understands:
 *
 * - thinking under one of its two names gets the other as well (vLLM says `reasoning`, llama-server `reasoning_content`);
 * - the first delta of a choice gets its `role`, without which client libraries throw;
 * - SGLang's `matched_stop` is told as `stop_reason` too.
 */
export class ChoiceScanner {
  /** Some choice carried text, thinking, a piece of a tool call or sound. */
  hasOutput = false
  /** Choices of the last scan that carried a finish reason. */
  finished = 0
  /** Some choice of the last scan ended by a finish reason that says it failed. */
  failed = false
  choices = 0
  /** Finish reasons that it has seen, in the upstream's words, over all scans. */
  readonly finishReasons: string[] = []
  /** The string with the text of the last choice, quotes included: its `content` or `text`; −1 without one. */
  textStart = -1
  textEnd = -1
  readonly #choice = new ObjectScanner(choiceKeys, choiceKeyBytes)
  readonly #delta = new ObjectScanner(deltaKeys, deltaKeyBytes)
  /** Choices whose first delta has been seen. */
  readonly #opened = new Set<string>()

  /** Looks at the array from `from` to `to`, adding what has to be mended to `edits`. */
  scan(bytes: Buffer, from: number, to: number, edits: Edit[]): void {
    this.hasOutput = false
    this.finished = 0
    this.failed = false
    this.choices = 0
    this.textStart = -1
    forEachElement(bytes, from, to, (start, end) => this.#scanChoice(bytes, start, end, edits))
  }

  #scanChoice(bytes: Buffer, from: number, to: number, edits: Edit[]): void {
    const choice = this.#choice
    if (!choice.scan(bytes, from, to)) return
    this.choices += 1
    const [indexAt = -1, deltaAt = -1, messageAt = -1, textAt = -1, finishAt = -1] = choice.start
    const [indexEnd = -1, deltaEnd = -1, messageEnd = -1, textEnd = -1, finishEnd = -1] = choice.end
    this.#nameStopReason(bytes, from, edits)
    if (isText(bytes, finishAt)) {
      this.finished += 1
      const reason = bytes.toString('latin1', finishAt + 1, finishEnd - 1)
      this.finishReasons.push(reason)
      if (failedFinishReasons.has(reason)) this.failed = true
    }
    if (hasText(bytes, textAt)) {
      this.hasOutput = true
      this.textStart = textAt
      this.textEnd = textEnd
    }
    if (deltaAt >= 0) {
      const index = indexAt < 0 ? '0' : bytes.toString('latin1', indexAt, indexEnd)
      const first = !this.#opened.has(index)
      if (first) this.#opened.add(index)
      this.#scanMessage(bytes, deltaAt, deltaEnd, first, edits)
    } else if (messageAt >= 0) this.#scanMessage(bytes, messageAt, messageEnd, false, edits)
  }

  /** SGLang tells the stop text or token that ended a choice under a name of its own; clients read vLLM's. */
  #nameStopReason(bytes: Buffer, from: number, edits: Edit[]): void {
    const [, , , , , matchedAt = -1, stopAt = -1] = this.#choice.start
    const [, , , , , matchedEnd = -1] = this.#choice.end
    if (matchedAt < 0 || stopAt >= 0 || bytes[matchedAt] === 0x6e) return
    edits.push({
      start: from + 1,
      end: from + 1,
      text: `"stop_reason":${bytes.toString('utf8', matchedAt, matchedEnd)},`,
    })
  }

  #scanMessage(bytes: Buffer, from: number, to: number, needsRole: boolean, edits: Edit[]): void {
    const message = this.#delta
    if (!message.scan(bytes, from, to)) return
    const [content = -1, reasoning = -1, reasoningContent = -1, toolCalls = -1, refusal = -1, role = -1] = message.start
    const [, , , , , , details = -1, functionCall = -1, audio = -1] = message.start
    const [contentEnd = -1, reasoningEnd = -1, reasoningContentEnd = -1] = message.end
    if (hasText(bytes, content)) {
      this.textStart = content
      this.textEnd = contentEnd
    }
    if (
      hasText(bytes, content) ||
      hasText(bytes, reasoning) ||
      hasText(bytes, reasoningContent) ||
      hasText(bytes, refusal) ||
      hasElement(bytes, toolCalls) ||
      // Content in parts, some of them thinking (Mistral); thinking in parts (OpenRouter); a call of the old kind.
      hasElement(bytes, content) ||
      hasElement(bytes, details) ||
      isObject(bytes, functionCall) ||
      isObject(bytes, audio)
    ) {
      this.hasOutput = true
    }
    const inside = from + 1
    if (isText(bytes, reasoning) && reasoningContent < 0) {
      const text = `"reasoning_content":${bytes.toString('utf8', reasoning, reasoningEnd)},`
      edits.push({ start: inside, end: inside, text })
    } else if (isText(bytes, reasoningContent) && reasoning < 0) {
      const text = `"reasoning":${bytes.toString('utf8', reasoningContent, reasoningContentEnd)},`
      edits.push({ start: inside, end: inside, text })
    }
    if (needsRole && role < 0) {
      const empty = message.start.every((start) => start < 0) && isEmptyObject(bytes, inside, to)
      edits.push({ start: inside, end: inside, text: empty ? '"role":"assistant"' : '"role":"assistant",' })
    }
  }
}

function isText(bytes: Buffer, at: number): boolean {
  return at >= 0 && bytes[at] === 0x22
}

/** A string of at least one character. */
function hasText(bytes: Buffer, at: number): boolean {
  return at >= 0 && bytes[at] === 0x22 && bytes[at + 1] !== 0x22
}

function isObject(bytes: Buffer, at: number): boolean {
  return at >= 0 && bytes[at] === 0x7b
}

/** An array of at least one element. */
function hasElement(bytes: Buffer, at: number): boolean {
  if (at < 0 || bytes[at] !== 0x5b) return false
  let inside = at + 1
  while (bytes[inside] === 0x20 || bytes[inside] === 0x0a) inside += 1
  return bytes[inside] !== 0x5d
}

function isEmptyObject(bytes: Buffer, inside: number, to: number): boolean {
  for (let at = inside; at < to - 1; at += 1) {
    const byte = bytes[at]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return false
  }
  return true
}
