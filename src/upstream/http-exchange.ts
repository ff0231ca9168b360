import type { Dispatcher } from 'undici'
import { onAbort, toTokenmillError, type Clock, type TokenmillError } from '../core/index.ts'
import type { RelayFlow, RelaySink } from '../inference/index.ts'
import { endpointError, readRetryAfterMs, upstreamError } from '../protocol/index.ts'
import { connectionError } from './connection-error.ts'

/** What an exchange needs to know of the endpoint that it speaks to. */
export interface ExchangeEndpoint {
  readonly name: string
  readonly clock: Clock
  readonly maxErrorBodyBytes: number
}

type HeadListener = (status: number, headers: Readonly<Record<string, string | string[] | undefined>>) => void

/** Headers of a successful answer that reach the client; all others stay here. */
const answerHeaders = ['content-type'] as const

/** One request and its answer. Settles its promise exactly once, and takes its listener off the signal then. */
export class HttpExchange implements Dispatcher.DispatchHandler {
  readonly #endpoint: ExchangeEndpoint
  readonly #sink: RelaySink
  readonly #stopListening: () => void
  readonly #resolve: () => void
  readonly #reject: (error: TokenmillError) => void
  /** Takes the head of any answer; without it, one outside 2xx becomes an error. */
  readonly #onHead: HeadListener | undefined
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  #failure: Failure | undefined

  constructor(
    endpoint: ExchangeEndpoint,
    sink: RelaySink,
    signal: AbortSignal,
    resolve: () => void,
    reject: (error: TokenmillError) => void,
    onHead?: HeadListener,
  ) {
    this.#endpoint = endpoint
    this.#sink = sink
    this.#resolve = resolve
    this.#reject = reject
    this.#onHead = onHead
    this.#stopListening = onAbort(signal, this.#onAbort)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // Aborted while the connection opened: the request must not leave.
    if (this.#settled) controller.abort(new Error('aborted'))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.#settled || status < 200) return
    if (this.#onHead !== undefined) {
      this.#onHead(status, headers)
      return
    }
    if (status >= 300) {
      const { location } = headers
      this.#failure = {
        status,
        retryAfterMs: readRetryAfterMs(headers, this.#endpoint.clock.wallTimeMs()),
        location: typeof location === 'string' ? location : undefined,
        body: [],
        bytes: 0,
      }
      return
    }
    const coding = headers['content-encoding']
    if (coding !== undefined && coding !== 'identity') {
      this.#guard(() => {
        const problem = `answered in the coding '${String(coding)}', which was not asked for. Turn compression off there.`
        throw endpointError('upstream_failed', this.#endpoint.name, problem)
      })
      return
    }
    const allowed: Record<string, string> = {}
    for (const name of answerHeaders) {
      const value = headers[name]
      if (typeof value === 'string') allowed[name] = value
    }
    this.#guard(() => this.#sink.begin({ status, headers: allowed }, flowOf(controller)))
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    const failure = this.#failure
    if (failure === undefined) {
      this.#guard(() => this.#sink.data(chunk))
      return
    }
    failure.bytes += chunk.length
    failure.body.push(chunk)
    if (failure.bytes > this.#endpoint.maxErrorBodyBytes) this.#endFailure(failure)
  }

  onResponseEnd(): void {
    if (this.#settled) return
    if (this.#failure !== undefined) this.#endFailure(this.#failure)
    else if (this.#settle()) this.#resolve()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    // The body of an error may break off; its status alone says enough.
    if (!this.#settled && this.#failure !== undefined) this.#endFailure(this.#failure)
    else if (this.#settle()) this.#reject(connectionError(this.#endpoint.name, error))
  }

  readonly #onAbort = (error: TokenmillError): void => {
    if (!this.#settle()) return
    this.#controller?.abort(new Error('aborted'))
    this.#reject(error)
  }

  #endFailure(failure: Failure): void {
    if (!this.#settle()) return
    const body = Buffer.concat(failure.body).toString()
    if (failure.bytes > this.#endpoint.maxErrorBodyBytes) this.#controller?.abort(new Error('long error body'))
    const { status, retryAfterMs, location } = failure
    this.#reject(upstreamError(this.#endpoint.name, { status, body, retryAfterMs, location }))
  }

  /** Runs the sink; what it throws ends the exchange. */
  #guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      if (!this.#settle()) return
      this.#controller?.abort(new Error('sink failed'))
      this.#reject(toTokenmillError(error))
    }
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#stopListening()
    return true
  }
}

/** An answer outside 2xx while its body comes in. */
interface Failure {
  readonly status: number
  readonly retryAfterMs: number | undefined
  readonly location: string | undefined
  readonly body: Buffer[]
  bytes: number
}

function flowOf(controller: Dispatcher.DispatchController): RelayFlow {
  return { pause: () => controller.pause(), resume: () => controller.resume() }
}
