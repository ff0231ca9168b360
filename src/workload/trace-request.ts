/** One request of a recorded or written workload. */
export interface TraceRequest {
  /** Milliseconds after the first request of the trace. Of a turn without a time of its own, the earliest it can be. */
  readonly atMs: number
  /** Pause between the answer to the turn before and this one; undefined: as soon as its time has come. */
  readonly pauseMs: number | undefined
  readonly promptTokens: number
  readonly outputTokens: number
  /** Identities of the prompt's blocks: equal ids stand for equal text. Undefined where the trace does not say. */
  readonly blocks: readonly number[] | undefined
  /** Tokens in each block but the last. */
  readonly blockTokens: number
  /** The prompt itself, where the trace brings it. */
  readonly prompt: string | undefined
  /** The whole conversation so far, where the trace brings it: the turns before are in it. */
  readonly messages: readonly TraceMessage[] | undefined
  /** Requests of one session are turns of one conversation, each after the answer to the one before. */
  readonly session: string | undefined
}

export interface TraceMessage {
  readonly role: string
  readonly content: string
}
