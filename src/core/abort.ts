import type { Clock } from './clock.ts'
import { TokenmillError } from './errors.ts'

/**
 * Calls back once when the signal aborts, with the error that it stands for; at once where it already has. The
 * returned function stops listening; calling it again, or after the callback, does nothing.
 */
export function onAbort(signal: AbortSignal, callback: (error: TokenmillError) => void): () => void {
  if (signal.aborted) {
    callback(abortError(signal))
    return nothing
  }
  const listener = (): void => callback(abortError(signal))
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}

/** Why a signal aborted: its reason where that is a TokenmillError (a time limit, say), else `cancelled`: the client left. */
export function abortError(signal: AbortSignal): TokenmillError {
  const reason: unknown = signal.reason
  if (reason instanceof TokenmillError) return reason
  return new TokenmillError('cancelled', 'The request was cancelled by its client.', {}, reason)
}

/** Throws the error that an aborted signal stands for. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortError(signal)
}

/** Resolves after `delayMs` on the clock. Rejects as soon as the signal aborts, and holds no timer then. */
export function sleep(delayMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let stopListening = nothing
    const cancelTimer = clock.schedule(delayMs, () => {
      stopListening()
      resolve()
    })
    stopListening = onAbort(signal, (error) => {
      cancelTimer()
      reject(error)
    })
  })
}

/**
 * A controller that aborts when the parent does. `unlink` takes it off the parent: call it once the work is over, or a
 * long-lived parent keeps every child. Cheaper than AbortSignal.any, which keeps weak references both ways.
 */
export function linkedController(parent: AbortSignal): {
  readonly controller: AbortController
  readonly unlink: () => void
} {
  const controller = new AbortController()
  return { controller, unlink: onAbort(parent, (error) => controller.abort(error)) }
}

function nothing(): void {
  // Nothing to stop.
}
