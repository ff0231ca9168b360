import { LogHistogram } from '../../workload/index.ts'
import type { RequestClass } from '../plan.ts'
import { forEachArrival, forEachGap, measure, tokensOnTime } from './measures.ts'
import { missedObjectives, type MissCause } from './objectives.ts'
import type { RequestOutcome, RequestRecord } from './record.ts'
import { TimeSlices } from './slices.ts'

/** When the steady state begins. */
export type WarmUp =
  | { readonly kind: 'time'; readonly ms: number }
  /** After so many requests have ended, however they ended. */
  | { readonly kind: 'requests'; readonly count: number }
  /** The whole run is taken, drain included: for runs too short to have a steady state. */
  | { readonly kind: 'none' }

/** The distributions kept for a run, in ms unless the name says otherwise. */
export const distributionKeys = [
  'ttftMs',
  'serviceTtftMs',
  'firstEventMs',
  'tpotMs',
  'ntpotMs',
  'itlMs',
  'iclMs',
  'stallMs',
  'e2eMs',
  'tokPerSUser',
  'inputTokens',
  'outputTokens',
  'sendLagMs',
  'capWaitMs',
] as const

export type DistributionKey = (typeof distributionKeys)[number]

/** What is known of the requests of one class in the window. */
export interface ClassCounts {
  offered: number
  ok: number
  good: number
  goodTokens: number
  onTimeTokens: number
  /** Misses by cause; an answer that missed two limits counts under both. */
  readonly misses: Partial<Record<MissCause, number>>
}

/**
 * Takes the records of a run one by one and keeps what the report needs: histograms, counts, slices of time.
 * Memory does not grow with the number of requests. A request belongs to the steady state when it was scheduled
 * after the warm-up; until then it counts towards the totals and the time line only.
 */
export class RunAggregate {
  readonly slices = new TimeSlices()
  readonly outcomes = new Map<RequestOutcome, number>()
  /** All offered requests, by class, of the window. */
  readonly classes: ClassCounts[]
  /** First few messages of each kind of failure. */
  readonly failures = new Map<string, number>()
  readonly finishReasons = new Map<string, number>()
  readonly distributions: Readonly<Record<DistributionKey, LogHistogram>>
  /** TTFT and TPOT of each class, for attainment by class. */
  readonly classTimes: readonly { readonly ttftMs: LogHistogram; readonly tpotMs: LogHistogram }[]
  offered = 0
  ok = 0
  /** Of the window. */
  readonly window = { offered: 0, ok: 0, notStreamed: 0, interrupted: 0, onTimeTokens: 0 }
  readonly usage = {
    promptTokens: 0,
    cachedTokens: 0,
    cachedKnown: 0,
    promptKnown: 0,
    fromUsage: 0,
    fromTokenizer: 0,
    fromChunks: 0,
    suspect: 0,
    multiTokenChunks: 0,
    askedPromptTokens: 0,
    askedOutputTokens: 0,
    /** Output tokens of requests that failed or missed: spent for nothing. */
    wastedTokens: 0,
    chunks: 0,
    /** Of them, those that came in the same read as the one before. */
    chunksTogether: 0,
    outputTokens: 0,
  }
  windowStartMs: number | undefined
  firstScheduledMs = Infinity
  lastScheduledMs = 0
  lastEndMs = 0
  readonly #classes: readonly RequestClass[]
  readonly #warmUp: WarmUp
  #ended = 0

  constructor(classes: readonly RequestClass[], warmUp: WarmUp) {
    this.#classes = classes
    this.#warmUp = warmUp
    if (warmUp.kind === 'time') this.windowStartMs = warmUp.ms
    if (warmUp.kind === 'none' || (warmUp.kind === 'requests' && warmUp.count === 0)) this.windowStartMs = 0
    this.classes = classes.map(() => ({ offered: 0, ok: 0, good: 0, goodTokens: 0, onTimeTokens: 0, misses: {} }))
    this.classTimes = classes.map(() => ({ ttftMs: new LogHistogram(), tpotMs: new LogHistogram() }))
    const histograms = distributionKeys.map((key) => [key, new LogHistogram()] as const)
    this.distributions = Object.fromEntries(histograms) as Record<DistributionKey, LogHistogram>
  }

  /** True where the whole run is the window. */
  get whole(): boolean {
    return this.#warmUp.kind === 'none'
  }

  take(record: RequestRecord): void {
    this.#takeTotals(record)
    const inWindow = this.windowStartMs !== undefined && record.scheduledMs >= this.windowStartMs
    this.#ended += 1
    if (this.windowStartMs === undefined && this.#warmUp.kind === 'requests' && this.#ended >= this.#warmUp.count)
      this.windowStartMs = record.endMs
    if (inWindow) this.#takeSteady(record)
  }

  #takeTotals(record: RequestRecord): void {
    const { outcome, scheduledMs, sentMs, endMs } = record
    this.offered += 1
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
    this.firstScheduledMs = Math.min(this.firstScheduledMs, scheduledMs)
    this.lastScheduledMs = Math.max(this.lastScheduledMs, scheduledMs)
    this.lastEndMs = Math.max(this.lastEndMs, endMs)
    this.slices.at(scheduledMs).scheduled += 1
    this.slices.addRunning(sentMs, endMs)
    const { chunksMs, chunkTokens } = record
    const tokensPerChunk = record.outputTokens / Math.max(1, chunksMs.length)
    // By index: an iterator would make an object for every event of the run.
    for (let i = 0; i < chunksMs.length; i += 1)
      this.slices.at(chunksMs[i] ?? 0).outputTokens += chunkTokens?.[i] ?? tokensPerChunk
    if (outcome !== 'ok') {
      this.slices.at(endMs).failed += 1
      const message = `${outcome}: ${record.message}`
      if (this.failures.size < maximumMessages || this.failures.has(message))
        this.failures.set(message, (this.failures.get(message) ?? 0) + 1)
      return
    }
    this.ok += 1
    const finished = this.slices.at(endMs)
    finished.completed += 1
    finished.inputTokens += record.promptTokens ?? record.promptTokensAsked
    const measures = measure(record)
    this.slices.at(scheduledMs).ttftMs.record(measures.ttftMs)
    for (let i = 1; i < chunksMs.length; i += 1) {
      const atMs = chunksMs[i] ?? 0
      this.slices.at(atMs).gapMs.record(atMs - (chunksMs[i - 1] ?? 0))
    }
  }

  #takeSteady(record: RequestRecord): void {
    const counts = this.classes[record.classIndex]
    const objectives = this.#classes[record.classIndex]?.objectives ?? {}
    if (record.outcome === 'interrupted') {
      this.window.interrupted += 1
      return
    }
    this.window.offered += 1
    if (counts !== undefined) counts.offered += 1
    this.distributions.sendLagMs.record(record.sentMs - record.scheduledMs - record.capWaitMs)
    this.distributions.capWaitMs.record(record.capWaitMs)
    const reason = record.finishReason ?? 'none'
    this.finishReasons.set(reason, (this.finishReasons.get(reason) ?? 0) + 1)
    const onTime =
      objectives.ttftMs === undefined || objectives.tpotMs === undefined
        ? 0
        : tokensOnTime(record, objectives.ttftMs, objectives.tpotMs)
    this.window.onTimeTokens += onTime
    if (counts !== undefined) counts.onTimeTokens += onTime
    if (record.outcome !== 'ok') {
      this.usage.wastedTokens += record.outputTokens
      if (counts !== undefined) countMiss(counts, 'failed')
      return
    }
    this.window.ok += 1
    if (!record.streamed) this.window.notStreamed += 1
    this.#takeTimes(record)
    this.#takeUsage(record)
    const measures = measure(record)
    const missed = missedObjectives(measures, objectives)
    const good = missed.length === 0
    if (!good) this.usage.wastedTokens += record.outputTokens
    if (counts === undefined) return
    for (const cause of missed) countMiss(counts, cause)
    counts.ok += 1
    if (!good) return
    counts.good += 1
    counts.goodTokens += record.outputTokens
  }

  #takeTimes(record: RequestRecord): void {
    const measures = measure(record)
    const { distributions } = this
    distributions.ttftMs.record(measures.ttftMs)
    distributions.serviceTtftMs.record(measures.serviceTtftMs)
    distributions.firstEventMs.record(measures.firstEventMs)
    distributions.e2eMs.record(measures.e2eMs)
    distributions.ntpotMs.record(measures.ntpotMs)
    const times = this.classTimes[record.classIndex]
    times?.ttftMs.record(measures.ttftMs)
    if (measures.tpotMs !== undefined) {
      distributions.tpotMs.record(measures.tpotMs)
      times?.tpotMs.record(measures.tpotMs)
      if (measures.tpotMs > 0) distributions.tokPerSUser.record(1000 / measures.tpotMs)
    }
    if (measures.stallMs !== undefined) distributions.stallMs.record(measures.stallMs)
    forEachGap(record, (gapMs) => {
      distributions.iclMs.record(gapMs)
      if (gapMs === 0) this.usage.chunksTogether += 1
    })
    forEachArrival(record, (gapMs, tokens) => {
      if (tokens > 0) distributions.itlMs.record(gapMs / tokens, tokens)
    })
  }

  #takeUsage(record: RequestRecord): void {
    const { usage, distributions } = this
    usage.askedPromptTokens += record.promptTokensAsked
    usage.askedOutputTokens += record.outputTokensAsked
    usage.chunks += record.chunksMs.length
    usage.outputTokens += record.outputTokens
    distributions.outputTokens.record(record.outputTokens)
    distributions.inputTokens.record(record.promptTokens ?? record.promptTokensAsked)
    if (record.outputTokensFrom === 'usage') usage.fromUsage += 1
    else if (record.outputTokensFrom === 'tokenizer') usage.fromTokenizer += 1
    else usage.fromChunks += 1
    // More chunks than tokens, or far more tokens than characters, cannot both be right. Byte tokens of small
    // vocabularies need some room: several make one character.
    const tooMany = record.outputTokens > mostTokensPerChar * record.outputChars && record.outputChars > 0
    if (record.outputTokensFrom === 'usage' && (record.outputTokens < record.chunksMs.length || tooMany))
      usage.suspect += 1
    if (record.promptTokens === undefined) return
    usage.promptKnown += 1
    usage.promptTokens += record.promptTokens
    if (record.cachedTokens === undefined) return
    usage.cachedKnown += 1
    usage.cachedTokens += record.cachedTokens
  }
}

function countMiss({ misses }: ClassCounts, cause: MissCause): void {
  misses[cause] = (misses[cause] ?? 0) + 1
}

const mostTokensPerChar = 1.5

/** Different failure messages that are kept; the counts of outcomes are complete anyway. */
const maximumMessages = 50
