import { linkedController, TokenmillError, type Clock } from '../core/index.ts'

/**
 * A controller that aborts with the parent, and with `deadline_exceeded` once `deadlineMs` have passed on the clock
 * (undefined: never). Call `stop` when the work is over: it frees the timer and the parent.
 */
export function startDeadline(
  parent: AbortSignal,
  deadlineMs: number | undefined,
  clock: Clock,
): { readonly controller: AbortController; readonly stop: () => void } {
  const { controller, unlink } = linkedController(parent)
  if (deadlineMs === undefined) return { controller, stop: unlink }
  const cancelTimer = clock.schedule(deadlineMs, () => {
    const message = `The generation did not end within its deadline of ${deadlineMs} ms.`
    controller.abort(new TokenmillError('deadline_exceeded', message))
  })
  const stop = (): void => {
    cancelTimer()
    unlink()
  }
  return { controller, stop }
}
