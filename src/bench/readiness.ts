import { sleep, type Clock } from '../core/index.ts'

/** How long a server that is still loading its model is waited for, and who hears of it. */
export interface Patience {
  readonly limitMs: number
  /** Whether a port that nobody listens on is waited for too: only when the user asked, as most are mistyped. */
  readonly unheard: boolean
  readonly stop: AbortSignal
  readonly clock: Clock
  readonly onWait: (line: string) => void
}

/** Most models load in two minutes from a warm disk. */
export const defaultPatienceMs = 120_000

/** Servers load for seconds to minutes; a question each half second is no load for them. */
const pauseMs = 500

/**
 * Asks again while `loading` finds in the answer that the endpoint is not ready, until the limit or
 * the user's stop. Says so once, with the limit. Returns the last answer, ready or not.
 */
export async function whenReady<T>(
  where: string,
  ask: () => Promise<T>,
  loading: (answer: T) => string | undefined,
  patience: Patience,
): Promise<T> {
  const { limitMs, stop, clock, onWait } = patience
  const sinceMs = clock.now()
  let answer = await ask()
  let reason = loading(answer)
  if (reason === undefined) return answer
  if (limitMs > 0) onWait(`${where} is not ready (${reason}): waiting up to ${seconds(limitMs)} (--ready-timeout).`)
  while (reason !== undefined && clock.now() - sinceMs + pauseMs <= limitMs && !stop.aborted) {
    await sleep(pauseMs, clock, stop).catch(() => undefined)
    if (stop.aborted) return answer
    answer = await ask()
    reason = loading(answer)
  }
  if (reason === undefined) onWait(`${where} became ready after ${seconds(clock.now() - sinceMs)}.`)
  return answer
}

function seconds(ms: number): string {
  return `${Number((ms / 1000).toFixed(1))} s`
}
