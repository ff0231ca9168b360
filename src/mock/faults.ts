import { parseDurationMs, TokenmillError, type Random } from '../core/index.ts'

/** What the mock can do wrong, each as real servers and networks do it. */
export const faultKinds = {
  error: 'answers 500 with an error body',
  unavailable: 'answers 503 with Retry-After',
  rateLimit: 'answers 429 with Retry-After',
  html: 'answers 200 with an HTML page, as a misconfigured proxy does',
  malformed: 'sends an event that is not JSON in the middle of the stream',
  errorEvent: 'sends an error event in the middle of the stream and ends it',
  disconnect: 'cuts the connection in the middle of the stream',
  truncate: 'ends the stream cleanly in the middle, without finish_reason and [DONE]',
  stall: 'pauses in the middle of the stream for the given time (default 5s)',
  hang: 'stops in the middle of the stream and never ends it',
  silent: 'accepts the request and never answers',
  refuse: 'closes the connection without an answer',
  empty: 'ends without a single token',
  noUsage: 'leaves usage out',
  wrongUsage: 'reports ten times the tokens it sent',
  noStream: 'ignores stream:true and answers one JSON body',
} as const

export type FaultKind = keyof typeof faultKinds

export interface Fault {
  readonly kind: FaultKind
  /** Share of requests that suffer it, 0 to 1. */
  readonly share: number
  /** Pause of a stall. */
  readonly stallMs: number
}

const defaultStallMs = 5_000

/** Reads `kind:share[:pause]`, such as `disconnect:0.01` or `stall:0.05:2s`. Throws `invalid_request`. */
export function parseFault(text: string): Fault {
  const [kind = '', share = '1', pause] = text.split(':').map((part) => part.trim())
  if (!isFaultKind(kind)) {
    const known = Object.keys(faultKinds).join(', ')
    throw new TokenmillError('invalid_request', `Fault '${text}' names '${kind}'; known are ${known}.`)
  }
  const number = Number(share)
  if (!(number >= 0 && number <= 1))
    throw new TokenmillError('invalid_request', `Fault '${text}' has share '${share}'; it must be from 0 to 1.`)
  const stallMs = pause === undefined ? defaultStallMs : parseDurationMs(pause)
  if (stallMs === undefined)
    throw new TokenmillError('invalid_request', `Fault '${text}' has pause '${pause}'; write 500ms or 2s.`)
  return { kind, share: number, stallMs }
}

function isFaultKind(text: string): text is FaultKind {
  return Object.hasOwn(faultKinds, text)
}

/** At most one fault for a request, by one draw: the shares are stacked, so that each is met exactly. */
export function drawFault(faults: readonly Fault[], random: Random): Fault | undefined {
  let draw = random()
  for (const fault of faults) {
    if (draw < fault.share) return fault
    draw -= fault.share
  }
  return undefined
}
