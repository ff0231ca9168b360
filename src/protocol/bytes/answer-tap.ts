import { TokenmillError } from '../../core/index.ts'
import type { TokenUsage } from '../../inference/index.ts'
import { ChoiceScanner } from './choice-scan.ts'
import { isBlank, ObjectScanner, toKeyBytes } from './json-scan.ts'
import { splice, type Edit } from './splice.ts'
import { upstreamError, upstreamTooLarge } from './upstream-error.ts'
import { readUsage } from './usage-value.ts'

export interface AnswerTapOptions {
  readonly model: string
  readonly endpoint: string
  readonly maxAnswerBytes: number
}

const answerKeys = ['model', 'choices', 'usage', 'error'] as const
const answerKeyBytes = toKeyBytes(answerKeys)

/**
 * Gathers an answer that is one JSON object (not a stream), and gives it back with `model` rewritten and both names
 * of thinking. An answer is held until it is whole, so a truncated one never reaches the client as a success.
 */
export class AnswerTap {
  usage: TokenUsage | undefined
  /** It has choices: tokens were generated for it. */
  hasChoices = false
  readonly #options: AnswerTapOptions
  #pieces: Uint8Array[] = []
  #bytes = 0

  constructor(options: AnswerTapOptions) {
    this.#options = options
  }

  /** Throws `upstream_failed` past the limit. */
  push(chunk: Uint8Array): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#options.maxAnswerBytes) {
      this.#pieces = []
      throw upstreamTooLarge(
        `The answer of ${this.#options.endpoint}`,
        'maxAnswerBytes',
        this.#options.maxAnswerBytes,
        this.#bytes,
      )
    }
    this.#pieces.push(chunk)
  }

  /** The whole answer for the client. Throws `upstream_failed` where it is no JSON object (HTML, or cut short). */
  end(): Buffer {
    const [only] = this.#pieces
    const bytes =
      only !== undefined && this.#pieces.length === 1
        ? Buffer.from(only.buffer, only.byteOffset, only.byteLength)
        : Buffer.concat(this.#pieces)
    this.#pieces = []
    const scan = new ObjectScanner(answerKeys, answerKeyBytes)
    if (!scan.scan(bytes) || !isBlank(bytes, scan.after)) {
      // A bare array or value is complete JSON too (TEI answers so to rerank): whole, and nothing to rewrite.
      if (isCompleteJson(bytes)) return bytes
      const start = bytes.toString('utf8', 0, 80).trim()
      throw new TokenmillError(
        'upstream_failed',
        `The endpoint ${this.#options.endpoint} answered with something other than a JSON object: ${start === '' ? '(nothing)' : start}`,
      )
    }
    const [model = -1, choices = -1, usage = -1, error = -1] = scan.start
    const [modelEnd = -1, choicesEnd = -1, usageEnd = -1] = scan.end
    if (error >= 0 && bytes[error] !== 0x6e)
      throw upstreamError(this.#options.endpoint, 500, bytes.toString(), undefined)
    if (usage >= 0) this.usage = readUsage(parse(bytes.subarray(usage, usageEnd)))
    this.hasChoices = choices >= 0
    const edits: Edit[] = []
    if (choices >= 0) new ChoiceScanner().scan(bytes, choices, choicesEnd, edits)
    if (model >= 0) edits.push({ start: model, end: modelEnd, text: JSON.stringify(this.#options.model) })
    return splice(bytes, edits)
  }
}

function isCompleteJson(bytes: Buffer): boolean {
  return parse(bytes) !== undefined
}

/** The value, or undefined where the bytes are no JSON (which has no undefined of its own). */
function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
