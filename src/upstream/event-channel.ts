import { toTokenmillError, type TokenmillError } from '../core/index.ts'
import type { GenerationEvent, RelayFlow } from '../inference/index.ts'

/**
 * Between an upstream that pushes and a reader that pulls. Past `highWater` events the upstream is paused until the
 * reader has caught up, so nothing gathers here.
 */
export class EventChannel {
  readonly #highWater: number
  readonly #events: GenerationEvent[] = []
  #flow: RelayFlow | undefined
  #paused = false
  #ended: { readonly error: TokenmillError | undefined } | undefined
  #wake: (() => void) | undefined

  constructor(highWater: number) {
    this.#highWater = highWater
  }

  attach(flow: RelayFlow): void {
    this.#flow = flow
  }

  push(events: readonly GenerationEvent[]): void {
    if (events.length === 0) return
    this.#events.push(...events)
    if (!this.#paused && this.#events.length > this.#highWater) {
      this.#paused = true
      this.#flow?.pause()
    }
    this.#wake?.()
  }

  /** Ends the channel: the reader gets what is there, then the error if there is one. */
  end(error?: unknown): void {
    this.#ended ??= { error: error === undefined ? undefined : toTokenmillError(error) }
    this.#wake?.()
  }

  async *read(): AsyncGenerator<GenerationEvent, void, undefined> {
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined) {
        yield event
        continue
      }
      if (this.#ended !== undefined) {
        if (this.#ended.error !== undefined) throw this.#ended.error
        return
      }
      if (this.#paused) {
        this.#paused = false
        this.#flow?.resume()
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }
}
