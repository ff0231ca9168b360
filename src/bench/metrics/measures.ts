import type { RequestRecord } from './record.ts'

/**
 * The times of one complete answer, in ms. t₀ is the scheduled send, s the actual send, c₁ … c_m the arrivals of
 * chunks with content, n the output tokens. docs/bench.md sets each beside other tools' definitions.
 */
export interface RequestMeasures {
  /** c₁ − t₀ */
  readonly ttftMs: number
  /** c₁ − s: what tools that count from the actual send call TTFT. */
  readonly serviceTtftMs: number
  /** First event of any kind − s: TTFT of tools that count an empty role chunk. */
  readonly firstEventMs: number
  /** c_m − t₀ */
  readonly e2eMs: number
  /** (c_m − c₁)/(n − 1); undefined for n < 2 or where the answer came in one piece. */
  readonly tpotMs: number | undefined
  /** (c_m − t₀)/n */
  readonly ntpotMs: number
  /** Largest c_{i+1} − c_i; undefined for m < 2. */
  readonly stallMs: number | undefined
  readonly outputTokens: number
}

/** The measures of an answer with at least one chunk. */
export function measure(record: RequestRecord): RequestMeasures {
  const { chunksMs, scheduledMs, sentMs, outputTokens } = record
  const first = chunksMs[0] ?? record.endMs
  const last = chunksMs.at(-1) ?? record.endMs
  const spread = chunksMs.length > 1
  let stallMs: number | undefined
  for (let i = 1; i < chunksMs.length; i += 1)
    stallMs = Math.max(stallMs ?? 0, (chunksMs[i] ?? 0) - (chunksMs[i - 1] ?? 0))
  return {
    ttftMs: first - scheduledMs,
    serviceTtftMs: first - sentMs,
    firstEventMs: (record.firstEventMs ?? first) - sentMs,
    e2eMs: last - scheduledMs,
    tpotMs: spread && outputTokens > 1 ? (last - first) / (outputTokens - 1) : undefined,
    ntpotMs: (last - scheduledMs) / Math.max(1, outputTokens),
    stallMs,
    outputTokens,
  }
}

/**
 * Every gap between arrivals with the tokens that the later one brought, so that a gap of g ms and k tokens is k samples
 * of g/k (ITL per token). Chunks that came in one read have one time and are one arrival: a server that sends three tokens
 * every 30 ms has a pace of 10 ms, not of 0, 0 and 30. Tokens of a chunk come from running usage; else every chunk is
 * taken to hold the same, (n − 1)/(m − 1) after the first.
 */
export function forEachArrival(record: RequestRecord, visit: (gapMs: number, tokens: number) => void): void {
  const { chunksMs, chunkTokens, outputTokens } = record
  const even = Math.max(1, (outputTokens - 1) / Math.max(1, chunksMs.length - 1))
  let [beforeMs, gapMs, tokens] = [chunksMs[0] ?? 0, 0, 0]
  for (let i = 1; i < chunksMs.length; i += 1) {
    const atMs = chunksMs[i] ?? 0
    if (atMs > beforeMs) {
      if (gapMs > 0) visit(gapMs, tokens)
      gapMs = atMs - beforeMs
      beforeMs = atMs
      tokens = 0
    }
    tokens += chunkTokens?.[i] ?? even
  }
  if (gapMs > 0) visit(gapMs, tokens)
}

/** Every gap between chunks, 0 between those that came in one read. */
export function forEachGap({ chunksMs }: RequestRecord, visit: (gapMs: number) => void): void {
  for (let i = 1; i < chunksMs.length; i += 1) visit((chunksMs[i] ?? 0) - (chunksMs[i - 1] ?? 0))
}

/**
 * Tokens that came in time for a reader: token i (from 0) is due ttft + i·tpot after t₀, by the request's own
 * objectives. Counts those that arrived by then: delaying late requests further, or dropping them, never helps.
 */
export function tokensOnTime(record: RequestRecord, ttftMs: number, tpotMs: number): number {
  const { chunksMs, chunkTokens, outputTokens, scheduledMs } = record
  const even = outputTokens / Math.max(1, chunksMs.length)
  let arrived = 0
  let onTime = 0
  for (let i = 0; i < chunksMs.length; i += 1) {
    const tokens = chunkTokens?.[i] ?? even
    const lateMs = (chunksMs[i] ?? 0) - scheduledMs - ttftMs
    // Tokens of this chunk have numbers arrived … arrived + tokens − 1; due are those with number·tpot ≥ lateMs.
    const firstDue = Math.max(arrived, lateMs <= 0 ? 0 : lateMs / tpotMs)
    onTime += Math.max(0, Math.min(tokens, arrived + tokens - Math.ceil(firstDue - 1e-9)))
    arrived += tokens
  }
  return onTime
}
