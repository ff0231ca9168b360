import type { TokenmillError } from '../../core/index.ts'
import type { TokenUsage } from '../../inference/index.ts'
import { sseDone } from '../sse-frames.ts'
import { ChoiceScanner } from './choice-scan.ts'
import { FrameMould } from './frame-mould.ts'
import { ObjectScanner, toKeyBytes } from './json-scan.ts'
import { splice, type Edit } from './splice.ts'
import { SseFrameCutter } from './sse-frames.ts'
import { endpointError, streamError } from './upstream-error.ts'
import { emptyStream, readEventFailure } from './upstream-failure.ts'
import { readUsage } from './usage-value.ts'

export interface StreamTapOptions {
  /** The name that the client asked for: what `model` says in every frame that goes out. */
  readonly model: string
  /** Address of the upstream, for errors. */
  readonly endpoint: string
  /** The client did not ask for the usage chunk, so it does not get the one that we asked for. */
  readonly dropUsageChunk: boolean
  /** Continuations asked for: the stream is complete when as many have finished. */
  readonly n: number
  readonly maxFrameBytes: number
}

const frameKeys = ['model', 'choices', 'usage', 'error'] as const
const frameKeyBytes = toKeyBytes(frameKeys)

/**
 * Stands in an OpenAI stream (chat or completions) between upstream and client. Frames go through as bytes, with
 * `model` rewritten in place; on the way it learns usage, errors, the first output and whether the end was reached.
 *
 *   upstream chunks → frames → scan top-level keys → splice (or nothing) → bytes for the client
 *                        └────── fits the mould of the last one ──────────────▲
 */
export class StreamTap {
  /** As the upstream counted; the last that it said. */
  usage: TokenUsage | undefined
  /** Frames that carried output. Engines send a token a frame as a rule: the estimate where usage is missing. */
  outputFrames = 0
  /** The upstream said `[DONE]`. */
  done = false
  readonly #options: StreamTapOptions
  readonly #cutter: SseFrameCutter
  readonly #frame = new ObjectScanner(frameKeys, frameKeyBytes)
  readonly #choices = new ChoiceScanner()
  readonly #modelText: string
  readonly #mould = new FrameMould()
  #finished = 0
  #out: Buffer[] = []

  constructor(options: StreamTapOptions) {
    this.#options = options
    this.#cutter = new SseFrameCutter(options.maxFrameBytes)
    this.#modelText = JSON.stringify(options.model)
  }

  /** Finish reasons of its choices, in the upstream's words. */
  get finishReasons(): readonly string[] {
    return this.#choices.finishReasons
  }

  /** Every continuation has finished, or the upstream said so: what ends here is whole. */
  get complete(): boolean {
    return this.done || this.#finished >= this.#options.n
  }

  /**
   * Takes a chunk; returns what to write, undefined for nothing yet. Throws the upstream's error event as a
   * TokenmillError, `upstream_failed` for a malformed or gigantic frame; what came before
   * it in the chunk is given by `takeWritten`.
   */
  push(chunk: Uint8Array): Buffer | undefined {
    this.#cutter.push(chunk, this.#onFrame)
    return this.takeWritten()
  }

  /** Frames ready to write, after `push` threw: each is whole. */
  takeWritten(): Buffer | undefined {
    const out = this.#out
    if (out.length === 0) return undefined
    this.#out = []
    return out.length === 1 ? out[0] : Buffer.concat(out)
  }

  /** The upstream's stream has ended. Throws `upstream_failed` unless it ended where it should. */
  end(): void {
    const rest = this.#cutter.rest()
    // Some servers leave out the blank line after the last frame.
    if (rest.length > 0) this.#onRest(Buffer.concat([rest, Buffer.from('\n\n')]))
    const { endpoint } = this.#options
    if (!this.complete) {
      const problem = 'ended its stream before the last event: neither a finish reason nor [DONE] came.'
      throw endpointError('upstream_failed', endpoint, problem)
    }
    if (this.outputFrames === 0 && this.#finished === 0) throw streamError(endpoint, emptyStream)
    if (!this.done) this.#out.push(doneFrame)
  }

  /** A last frame without its blank line; where every choice has finished it may as well be cut. */
  #onRest(frame: Buffer): void {
    try {
      this.#onFrame(frame)
    } catch (error) {
      if (!this.complete) throw error
    }
  }

  readonly #onFrame = (frame: Buffer): void => {
    if (this.#mould.pass(frame, this.#out)) {
      this.outputFrames += 1
      return
    }
    const from = dataStart(frame)
    if (from < 0) {
      // A comment (keep-alive) or an empty frame goes through; a frame of several fields takes the slow way.
      if (isNoEvent(frame)) throw this.#malformed(frame, 0)
      if (hasData(frame)) this.#onFields(frame)
      else this.#out.push(frame)
      return
    }
    this.#onData(frame, from)
  }

  /** A frame whose only field is one line of data, from `from` on. */
  #onData(frame: Buffer, from: number): void {
    if (frame[from] === 0x5b && frame.toString('latin1', from, from + 6) === '[DONE]') {
      this.done = true
      this.#out.push(frame)
      return
    }
    const scan = this.#frame
    if (!scan.scan(frame, from)) throw this.#malformed(frame, from)
    const [modelAt = -1, choicesAt = -1, usageAt = -1, errorAt = -1] = scan.start
    const [modelEnd = -1, choicesEnd = -1, usageEnd = -1] = scan.end
    if ((errorAt >= 0 && frame[errorAt] !== 0x6e) || choicesAt < 0) this.#throwFailure(frame, from)
    const edits: Edit[] = []
    let choices = 0
    if (choicesAt >= 0) {
      this.#choices.scan(frame, choicesAt, choicesEnd, edits)
      if (this.#choices.failed) this.#throwFailure(frame, from)
      choices = this.#choices.choices
      this.#finished += this.#choices.finished
      if (this.#choices.hasOutput) this.outputFrames += 1
    }
    if (usageAt >= 0 && frame[usageAt] === 0x7b) {
      this.usage = readUsage(parse(frame, usageAt, usageEnd)) ?? this.usage
      if (choices === 0 && this.#options.dropUsageChunk) return
    }
    if (modelAt >= 0 && !this.#isModel(frame, modelAt, modelEnd)) {
      edits.push({ start: modelAt, end: modelEnd, text: this.#modelText })
    }
    const written = splice(frame, edits)
    this.#out.push(written)
    if (choices === 1 && frame[usageAt] !== 0x7b) this.#cast(frame, written, edits)
  }

  /** The next frame may look like this one, if nothing in it but the model's name was mended. */
  #cast(frame: Buffer, written: Buffer, edits: readonly Edit[]): void {
    const { textStart, textEnd, finished } = this.#choices
    const [edit] = edits
    const mended = edits.length > 1 || (edit !== undefined && edit.text !== this.#modelText)
    if (textStart < 0 || finished > 0 || mended || this.#options.n > 1 || !this.#mould.isUseful) return
    const shift = edit === undefined || edit.start > textStart ? 0 : written.length - frame.length
    this.#mould.take(frame, textStart, textEnd, written, textStart + shift)
  }

  /** A frame with an event name, an id or data over several lines: rewritten as one line of data. */
  #onFields(frame: Buffer): void {
    const lines = frame.toString('utf8').split(/\r?\n/)
    const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(line[5] === ' ' ? 6 : 5))
    const text = data.join('\n')
    const event = lines
      .find((line) => line.startsWith('event:'))
      ?.slice('event:'.length)
      .trim()
    if (event === 'error')
      throw streamError(
        this.#options.endpoint,
        readEventFailure(parse(Buffer.from(text), 0) ?? text, event) ?? emptyStream,
      )
    if (text.trim() === '') return
    const flat = text.startsWith('{') ? JSON.stringify(parse(Buffer.from(text), 0) ?? null) : text
    this.#onData(Buffer.from(`data: ${flat}\n\n`), 6)
  }

  #isModel(frame: Buffer, from: number, to: number): boolean {
    return to - from === this.#modelText.length && frame.toString('latin1', from, to) === this.#modelText
  }

  /** Parses a frame in which the scan found something unusual; throws where it is a failure. */
  #throwFailure(frame: Buffer, from: number): void {
    const failure = readEventFailure(parse(frame, from))
    if (failure !== undefined) throw streamError(this.#options.endpoint, failure)
  }

  #malformed(frame: Buffer, from: number): TokenmillError {
    const value = parse(frame, from)
    const failure = value === undefined ? undefined : readEventFailure(value)
    if (failure !== undefined) return streamError(this.#options.endpoint, failure)
    const start = frame.toString('utf8', 0, 120).trimEnd()
    return endpointError('upstream_failed', this.#options.endpoint, `sent a malformed event: ${start}`)
  }
}

/** Clients wait for it, also where the upstream leaves it out. */
const doneFrame = Buffer.from(sseDone)

/** Offset of the data of a frame that consists of exactly one `data:` line; −1 for any other frame. */
function dataStart(frame: Buffer): number {
  if (frame[0] !== 0x64 || frame[1] !== 0x61 || frame[2] !== 0x74 || frame[3] !== 0x61 || frame[4] !== 0x3a) return -1
  const lineEnd = frame.indexOf(0x0a)
  if (lineEnd < frame.length - 3) return -1
  let at = 5
  while (frame[at] === 0x20) at += 1
  return at
}

/** The start of a JSON body or of an HTML page, where events were asked for. */
function isNoEvent(frame: Buffer): boolean {
  return frame[0] === 0x7b || frame[0] === 0x5b || frame[0] === 0x3c
}

function hasData(frame: Buffer): boolean {
  return frame.includes('data:') || frame.includes('event:')
}

function parse(bytes: Buffer, from: number, to = bytes.length): unknown {
  try {
    return JSON.parse(bytes.toString('utf8', from, to))
  } catch {
    return undefined
  }
}
