import type { LoopEvent, RowLogprobs } from '../messages.ts'
import type { Job } from './sequence.ts'
import { StopTexts } from './stop-texts.ts'

/** Text that a token let out, and the stop text that it completed. */
interface Release {
  readonly event: LoopEvent | undefined
  readonly stop: string | undefined
}

/**
 * From a sequence's tokens to the text that is told. What is not told yet waits here:
 *
 *   tokens ─▶ bytes ─▶ [ half a character ] ─▶ [ what might become a stop text ] ─▶ output events
 *
 * Each event carries the tokens whose text it completes, with their log-probabilities.
 */
export class SequenceOutput {
  readonly #job: Job
  readonly #index: number
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #matcher: StopTexts
  #tokens = 0
  #logprobs: RowLogprobs[] = []

  constructor(job: Job, index: number) {
    this.#job = job
    this.#index = index
    this.#matcher = new StopTexts(job.turnEndTexts, job.stop, job.quiet)
  }

  /** A token was generated; its text, if it has one, follows by `push`. */
  count(): void {
    this.#tokens += 1
  }

  note(logprobs: RowLogprobs): void {
    this.#logprobs.push(logprobs)
  }

  /** The token's bytes. `mayStop`: stop texts count by now. */
  push(piece: Uint8Array, mayStop: boolean): Release {
    const { text, stop } = this.#matcher.push(this.#decoder.decode(piece, { stream: true }), mayStop)
    return { event: this.#release(text), stop }
  }

  /** Lets out what waits: no text follows. */
  flush(mayStop: boolean): Release {
    const last = this.#matcher.push(this.#decoder.decode(), mayStop)
    const rest = last.stop === undefined ? this.#matcher.flush(mayStop) : { text: '', stop: last.stop }
    return { event: this.#release(last.text + rest.text), stop: rest.stop }
  }

  /** Tokens without text of their own (an end-of-generation token, a swallowed stop text) are still told. */
  rest(): LoopEvent | undefined {
    return this.#tokens > 0 ? this.#event('') : undefined
  }

  #release(text: string): LoopEvent | undefined {
    return text.length > 0 ? this.#event(text) : undefined
  }

  #event(text: string): LoopEvent {
    const [tokens, held] = [this.#tokens, this.#logprobs]
    this.#tokens = 0
    this.#logprobs = []
    const logprobs = this.#job.logprobs === undefined ? undefined : held
    return { type: 'output', key: this.#job.key, index: this.#index, text, tokens, logprobs }
  }
}
