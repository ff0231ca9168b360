/** How one request ended, seen from the client. Everything but `ok` is a miss, except `interrupted`. */
export type RequestOutcome =
  | 'ok'
  /** 429 or 503: the server said no before it began. */
  | 'refused'
  /** Any other status of 400 and above. */
  | 'httpError'
  /** A success status with something that is neither an event stream nor JSON: a proxy's page. */
  | 'notJson'
  | 'connectFailed'
  /** The connection broke after the request was sent. */
  | 'cut'
  | 'timedOut'
  /** An event, or the body, that is not what the API defines. */
  | 'malformed'
  /** The stream ended without a finish_reason and without [DONE]. */
  | 'truncated'
  /** An error arrived within the stream. */
  | 'errorEvent'
  /** A complete answer without a single token. */
  | 'empty'
  /** The client had no place for it: `maxInFlight` was reached. Invalidates the run. */
  | 'notSent'
  /** Still running when the drain limit ended. */
  | 'unfinished'
  /** Still running when the user stopped the run. Not the server's doing: left out of attainment. */
  | 'interrupted'

/** What the client saw of one request. Times are ms since the start of the run. */
export interface RequestRecord {
  /** Number of the conversation (of the request, where there is one turn), from 0 over all workers. */
  readonly session: number
  readonly turn: number
  readonly classIndex: number
  /** When the load model wanted it sent. Latency counts from here. */
  readonly scheduledMs: number
  /** When it was handed to the HTTP client. */
  readonly sentMs: number
  /** Part of sentMs − scheduledMs that a stated concurrency cap took: asked for, not lag. */
  readonly capWaitMs: number
  /** First event of any kind, the empty role chunk included; undefined where none came. */
  readonly firstEventMs: number | undefined
  /** Arrival of each chunk with content. */
  readonly chunksMs: Float64Array
  /** Tokens of each chunk where the server's running usage told them. */
  readonly chunkTokens: readonly number[] | undefined
  readonly endMs: number
  readonly outcome: RequestOutcome
  /** HTTP status; 0 where none came. */
  readonly status: number
  /** What went wrong, cut to 200 characters; '' where nothing did. */
  readonly message: string
  /** False where the whole answer came as one body. */
  readonly streamed: boolean
  readonly promptTokensAsked: number
  readonly outputTokensAsked: number
  /** From usage; undefined where the server gave none. Unknown is never 0. */
  readonly promptTokens: number | undefined
  readonly cachedTokens: number | undefined
  /** From usage, else counted by the tokenizer, else the number of chunks; `outputTokensFrom` says which. */
  readonly outputTokens: number
  readonly outputTokensFrom: 'usage' | 'tokenizer' | 'chunks'
  readonly outputChars: number
  readonly finishReason: string | undefined
}
