import { Channel, createRandom, TokenmillError, type Clock } from '../core/index.ts'
import type { GenerationEvent, GenerationRequest } from '../inference/index.ts'
import { deriveSeed, sampleLength, type Distribution } from '../workload/index.ts'
import { Answer } from './answer.ts'
import type { SequenceScheduler } from './sequence-scheduler.ts'
import { SimulatedSequence } from './sequence.ts'
import { hashText, hashTokens } from './token-hash.ts'

export interface GenerationSettings {
  readonly seed: number
  /** Tokens after which an answer ends by itself, unless the request ignores its end; undefined: never before its limit. */
  readonly outputTokens: Distribution | undefined
  readonly tokensPerEvent: Distribution
}

/**
 * One request under way: its continuations as sequences of the scheduler, their tokens as events of a channel. Times and lengths
 * depend on the seed and the request's id alone; the text too, unless a seed or greedy decoding says that it must repeat.
 */
export class SimulatedGeneration {
  /** Bounded by what the request may generate: no engine stops because one reader is slow. */
  readonly events = new Channel<GenerationEvent>(Infinity)
  readonly #scheduler: SequenceScheduler
  readonly #request: GenerationRequest
  readonly #prompt: readonly number[]
  readonly #sequences: SimulatedSequence[]
  readonly #cancelDeadline: () => void
  #cachedTokens: number | undefined
  #completionTokens = 0
  #running: number

  /** `limit`: most tokens of each continuation, at least 1. */
  constructor(
    request: GenerationRequest,
    prompt: readonly number[],
    limit: number,
    { scheduler, clock, settings }: { scheduler: SequenceScheduler; clock: Clock; settings: GenerationSettings },
  ) {
    this.#request = request
    this.#prompt = prompt
    this.#scheduler = scheduler
    this.#running = request.n
    this.#sequences = Array.from({ length: request.n }, (_, index) => this.#createSequence(index, limit, settings))
    const { deadlineMs } = request
    this.#cancelDeadline =
      deadlineMs === undefined
        ? () => undefined
        : clock.schedule(deadlineMs, () => this.fail(deadlineError(deadlineMs)))
    for (const sequence of this.#sequences) scheduler.submit(sequence)
  }

  /** Ends it now; its reader gets the error, and events it has not taken are dropped. */
  fail(error: TokenmillError): void {
    this.events.fail(error)
    this.release()
  }

  /** Frees all that it holds. Idempotent. */
  release(): void {
    this.#cancelDeadline()
    for (const sequence of this.#sequences) this.#scheduler.cancel(sequence)
  }

  #createSequence(index: number, limit: number, settings: GenerationSettings): SimulatedSequence {
    const { stop, ignoreEos, minTokens = 0 } = this.#request
    const seed = deriveSeed(settings.seed, hashText(this.#request.id))
    const random = createRandom(deriveSeed(seed, 2 * index))
    const words = createRandom(deriveSeed(this.#textSeed(settings.seed) ?? seed, 2 * index + 1))
    const drawn = ignoreEos || settings.outputTokens === undefined ? limit : sampleLength(settings.outputTokens, random)
    const answer = new Answer({
      index,
      stop,
      reason: Math.max(drawn, minTokens) < limit ? 'stop' : 'length',
      tokensPerEvent: settings.tokensPerEvent,
      random: words,
    })
    return new SimulatedSequence({
      prompt: this.#prompt,
      outputTokens: Math.min(limit, Math.max(drawn, minTokens)),
      random,
      words,
      listener: {
        onPrefilled: (cachedTokens) => this.#prefilled(cachedTokens),
        onToken: (text, last) => {
          this.#completionTokens += 1
          if (answer.take(text, last, (event) => this.events.push(event))) this.#finished(index)
        },
      },
    })
  }

  /** Undefined: every request has its own text. */
  #textSeed(seed: number): number | undefined {
    const { sampling } = this.#request
    if (sampling.seed !== undefined) return deriveSeed(seed, sampling.seed)
    if (sampling.temperature > 0) return undefined
    return deriveSeed(
      seed,
      hashTokens((index) => this.#prompt[index] ?? 0, 0, this.#prompt.length, 0),
    )
  }

  #prefilled(cachedTokens: number): void {
    if (this.#cachedTokens !== undefined) return
    this.#cachedTokens = cachedTokens
    this.events.push({ type: 'prefilled', promptTokens: this.#prompt.length, cachedTokens })
  }

  #finished(index: number): void {
    const sequence = this.#sequences[index]
    // A stop text may end it before its last token.
    if (sequence !== undefined) this.#scheduler.cancel(sequence)
    this.#running -= 1
    if (this.#running > 0) return
    this.#cancelDeadline()
    const usage = {
      promptTokens: this.#prompt.length,
      cachedTokens: this.#cachedTokens,
      completionTokens: this.#completionTokens,
      reasoningTokens: undefined,
    }
    this.events.push({ type: 'usage', usage })
    this.events.end()
  }
}

function deadlineError(deadlineMs: number): TokenmillError {
  const details = { limit: 'deadlineMs', maximum: deadlineMs, unit: 'ms' }
  return new TokenmillError(
    'deadline_exceeded',
    `The request did not end within its deadline of ${deadlineMs} ms.`,
    details,
  )
}
