/** What the mock did for one request, by its own clock: the truth that a load generator is checked against. */
export interface MockRecord {
  /** Position in the order of arrival, from 0. */
  readonly ordinal: number
  /** `x-request-id` that the client sent; undefined where it sent none. */
  readonly requestId: string | undefined
  readonly path: string
  model: string
  readonly fault: string | undefined
  /** Machine clock (CLOCK_MONOTONIC, ms) when the request's head was read. */
  readonly receivedMs: number
  promptTokens: number
  cachedTokens: number
  status: number
  outcome: 'running' | 'completed' | 'cancelled' | 'faulted' | 'refused'
  /** Machine clock as each event with text was handed to the server, which writes it in the same turn, and the tokens it carried. */
  readonly writesMs: number[]
  readonly writeTokens: number[]
  endMs: number | undefined
}

/** The newest records, a bounded number of them. */
export class RecordLog {
  readonly #maximum: number
  readonly #records: MockRecord[] = []
  #first = 0

  constructor(maximum: number) {
    this.#maximum = maximum
  }

  add(record: MockRecord): void {
    if (this.#maximum === 0) return
    if (this.#records.length < this.#maximum) this.#records.push(record)
    else {
      this.#records[this.#first] = record
      this.#first = (this.#first + 1) % this.#maximum
    }
  }

  /** Oldest first. */
  all(): MockRecord[] {
    return [...this.#records.slice(this.#first), ...this.#records.slice(0, this.#first)]
  }
}
