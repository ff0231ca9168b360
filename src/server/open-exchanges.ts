import type { Clock, TokenmillError } from '../core/index.ts'
import type { Exchange } from './exchange.ts'

/** The exchanges that have begun and not ended: what a server waits for before it ends. */
export class OpenExchanges {
  readonly #open = new Set<Exchange>()
  #emptied: (() => void) | undefined

  get size(): number {
    return this.#open.size
  }

  add(exchange: Exchange): void {
    this.#open.add(exchange)
  }

  delete(exchange: Exchange): void {
    this.#open.delete(exchange)
    if (this.#open.size === 0) this.#emptied?.()
  }

  /**
   * Resolves once none is open. After `patienceMs`, or when `hurry` aborts, those left are given up with `error`;
   * each then ends within the time its engine needs to let go.
   */
  async drain(patienceMs: number, clock: Clock, error: TokenmillError, hurry: AbortSignal | undefined): Promise<void> {
    if (this.#open.size === 0) return
    const giveUp = () => {
      for (const exchange of this.#open) exchange.abort(error)
    }
    const cancel = clock.schedule(patienceMs, giveUp)
    hurry?.addEventListener('abort', giveUp, { once: true })
    if (hurry?.aborted === true) giveUp()
    await new Promise<void>((resolve) => {
      this.#emptied = resolve
    })
    cancel()
    hurry?.removeEventListener('abort', giveUp)
  }
}
