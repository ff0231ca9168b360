import type { RelayOperation, TokenUsage } from '../../inference/index.ts'
import { assembleAnswer, isEventStream } from './assemble-answer.ts'
import { ChoiceScanner } from './choice-scan.ts'
import { isBlank, ObjectScanner, toKeyBytes } from './json-scan.ts'
import { splice, type Edit } from './splice.ts'
import { endpointError, streamError, upstreamTooLarge } from './upstream-error.ts'
import { readAnswerFailure, readFailure } from './upstream-failure.ts'
import { readUsage } from './usage-value.ts'

export interface AnswerTapOptions {
  readonly model: string
  readonly endpoint: string
  /** What was asked for: generations must have choices, the others answer in forms of their own. */
  readonly operation: RelayOperation
  readonly maxAnswerBytes: number
}

const answerKeys = ['model', 'choices', 'usage', 'error'] as const
const answerKeyBytes = toKeyBytes(answerKeys)

/** An answer is scanned in one go, so one scanner serves all. */
const scan = new ObjectScanner(answerKeys, answerKeyBytes)

/**
 * Gathers an answer that is one JSON object (not a stream), and gives it back with `model` rewritten and both names
 * of thinking. An answer is held until it is whole, so a truncated one never reaches the client as a success.
 */
export class AnswerTap {
  usage: TokenUsage | undefined
  /** What was generated, in bytes, where the answer has choices and no usage tells their tokens. */
  saidBytes = 0
  /** Finish reasons of its choices, in the upstream's words. */
  finishReasons: readonly string[] = []
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
    const received =
      only !== undefined && this.#pieces.length === 1
        ? Buffer.from(only.buffer, only.byteOffset, only.byteLength)
        : Buffer.concat(this.#pieces)
    this.#pieces = []
    const { endpoint, model: askedModel } = this.#options
    const bytes = this.#generates && isEventStream(received) ? assembleAnswer(received, endpoint) : received
    if (!scan.scan(bytes) || !isBlank(bytes, scan.after)) {
      const value = parse(bytes)
      if (value === undefined) {
        const start = bytes.toString('utf8', 0, 80).trim() || '(nothing)'
        const problem = `answered with something other than a JSON object: ${start}`
        throw endpointError('upstream_failed', endpoint, problem)
      }
      this.#throwFailure(value)
      // TEI answers to rerank with a bare array: whole, and nothing to rewrite.
      return bytes
    }
    const [model = -1, choices = -1, usage = -1, error = -1] = scan.start
    const [modelEnd = -1, choicesEnd = -1, usageEnd = -1] = scan.end
    if ((error >= 0 && bytes[error] !== 0x6e) || (choices < 0 && this.#mayFail(bytes))) this.#throwFailure(parse(bytes))
    if (usage >= 0) this.usage = readUsage(parse(bytes.subarray(usage, usageEnd)))
    if (this.usage === undefined && choices >= 0) this.saidBytes = bytesSaid(parse(bytes.subarray(choices, choicesEnd)))
    const edits: Edit[] = []
    if (choices >= 0) {
      const scanner = new ChoiceScanner()
      scanner.scan(bytes, choices, choicesEnd, edits)
      this.finishReasons = scanner.finishReasons
      if (scanner.failed || scanner.choices === 0) this.#throwFailure(parse(bytes))
    }
    if (model >= 0) edits.push({ start: model, end: modelEnd, text: JSON.stringify(askedModel) })
    return splice(bytes, edits)
  }

  /** Without choices: a failed generation, or an answer of another form. Errors are short, embeddings are megabytes. */
  #mayFail(bytes: Buffer): boolean {
    return this.#generates || bytes.length <= maxErrorBytes
  }

  get #generates(): boolean {
    const { operation } = this.#options
    return operation === 'chat' || operation === 'completion'
  }

  /** Looks at an answer in which the scan found something unusual. */
  #throwFailure(value: unknown): void {
    const { endpoint } = this.#options
    const failure = this.#generates ? readAnswerFailure(value) : readFailure(value)
    if (failure !== undefined) throw streamError(endpoint, failure)
    if (!this.#generates && (typeof value !== 'object' || value === null || Object.keys(value).length === 0)) {
      throw endpointError('upstream_failed', endpoint, `answered with nothing: ${JSON.stringify(value).slice(0, 80)}`)
    }
  }
}

const maxErrorBytes = 64 * 1024

const saidKeys = new Set([
  'content',
  'text',
  'thinking',
  'reasoning',
  'reasoning_content',
  'name',
  'arguments',
  'refusal',
])

/** Arguments of a tool call stand five levels deep, and nothing that was said stands deeper. */
const maxSaidDepth = 8

/** Bytes of the texts that a model generated, wherever they stand in the choices; both names of thinking are one. */
function bytesSaid(value: unknown, depth = 0): number {
  if (typeof value !== 'object' || value === null || depth > maxSaidDepth) return 0
  if (Array.isArray(value)) return value.reduce<number>((sum, each) => sum + bytesSaid(each, depth + 1), 0)
  return Object.entries(value).reduce((sum, [key, each]) => {
    if (key === 'logprobs' || (key === 'reasoning_content' && 'reasoning' in value)) return sum
    if (typeof each === 'string') return saidKeys.has(key) ? sum + Buffer.byteLength(each) : sum
    return sum + bytesSaid(each, depth + 1)
  }, 0)
}

/** The value, or undefined where the bytes are no JSON (which has no undefined of its own). */
function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
