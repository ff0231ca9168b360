import type { Clock } from '../../core/index.ts'

/** Notices that somebody who has work says nothing for too long. One timer, moved only when it fires. */
export class SilenceWatch {
  readonly #limitMs: number
  readonly #clock: Clock
  readonly #hasWork: () => boolean
  readonly #onSilence: () => void
  #heardAtMs = 0
  #cancel: (() => void) | undefined

  constructor(limitMs: number, clock: Clock, hasWork: () => boolean, onSilence: () => void) {
    this.#limitMs = limitMs
    this.#clock = clock
    this.#hasWork = hasWork
    this.#onSilence = onSilence
  }

  /** Called at each sign of life, and when work begins. */
  heard(): void {
    this.#heardAtMs = this.#clock.now()
    this.#cancel ??= this.#clock.schedule(this.#limitMs, () => this.#check())
  }

  close(): void {
    this.#cancel?.()
  }

  #check(): void {
    this.#cancel = undefined
    if (!this.#hasWork()) return
    const leftMs = this.#heardAtMs + this.#limitMs - this.#clock.now()
    if (leftMs > 0) this.#cancel = this.#clock.schedule(leftMs, () => this.#check())
    else this.#onSilence()
  }
}
