/**
 * The byte path: where an upstream speaks the client's protocol, a request and its answer stay bytes. The engine
 * sends the body as it stands and hands the answer's bytes on as they arrive; whoever holds the sink taps them.
 */
export interface RelayRequest {
  /** Identifier of the HTTP request, sent upstream as `x-request-id`. */
  readonly id: string
  readonly operation: RelayOperation
  /** JSON, complete: the engine's own model name is already spliced in. Not changed and not kept by the engine. */
  readonly body: Uint8Array
  /** Lower is sooner, 0 is ordinary. Not in the body: engines without priority scheduling refuse the field. */
  readonly priority?: number | undefined
  /** W3C trace context, passed on. */
  readonly traceParent?: string | undefined
}

/** What can be relayed. Each is one path upstream; nothing else is ever forwarded. */
export type RelayOperation = 'chat' | 'completion' | 'embedding' | 'rerank' | 'tokenize' | 'detokenize'

/** Takes an answer. Called in order: `begin` once, then `data` any number of times. The end is the promise's. */
export interface RelaySink {
  /** The head of a successful answer (2xx), before any data. */
  begin(head: RelayHead, flow: RelayFlow): void
  /** Bytes as they arrived. The sink may keep the chunk. Throwing ends the relay with that error. */
  data(chunk: Uint8Array): void
}

export interface RelayHead {
  readonly status: number
  /** Names in lower case; only those on the response's allow-list. */
  readonly headers: Readonly<Record<string, string>>
}

/** Backpressure: a paused upstream is not read, so that its TCP window fills and nothing gathers here. */
export interface RelayFlow {
  pause(): void
  resume(): void
}
