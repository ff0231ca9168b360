import type { Clock } from '../core/index.ts'
import type { RequestRecord } from './metrics/record.ts'
import type { EnergyMeter } from './observe/energy.ts'
import type { BenchOptions } from './options.ts'
import { peakConcurrency, type LoadShape } from './plan.ts'
import type { Probe } from './probe.ts'
import { combineRuns } from './pooled-runs.ts'
import type { BenchPoint, RunResult } from './result.ts'
import { runLoad, type RunOptions, type RunProgress } from './run.ts'
import { seedOf } from './load-shape.ts'
import { fewestForP99 } from './run-findings.ts'
import { metricsUrl, toLoadPlan, toWarmUp, toWorkers } from './settings.ts'

/** What a bench is run by: time, the user's stop, and who watches. */
export interface BenchContext {
  readonly clock: Clock
  readonly stop: AbortSignal
  readonly version: string
  /** The exact command line, secrets removed. */
  readonly command: string
  readonly onNote: (line: string) => void
  readonly onProgress: (label: string, progress: RunProgress, durationMs: number, requests: number) => void
  readonly onRun: (label: string, run: RunResult) => void
  readonly onRecord?: (label: string, record: RequestRecord) => void
}

/** A load for one endpoint. */
export interface Offer {
  readonly endpoint: Probe
  readonly shape: LoadShape
  /** `8 users`, `2.5 requests/s`, `A`, `B`. */
  readonly label: string
  /** Users, or requests per second. */
  readonly load: number
  /** Number of its first repeat, from 0: seeds go on from there. */
  readonly firstRepeat?: number
  /** End a run early whose worst class can no longer reach the target. */
  readonly endHopeless?: boolean
}

/** Between the seeds of repeats: a prime, so that repeats of neighbouring seeds do not coincide. */
const seedStride = 7919
/** Between the texts of runs: the golden ratio in 32 bits, which spreads neighbours widest. */
const textStride = 0x9e37_79b9
/** Requests from which a hopeless run is ended early. */
const fewestForEarlyEnd = 60
const metricsPeriodMs = 1_000
const fewestFailuresInRow = 100

/** Runs the loads of a search one after the other, each with seeds of its own, under one set of options. */
export class PointRunner {
  readonly #options: BenchOptions
  readonly #context: BenchContext
  readonly #meters: readonly EnergyMeter[]
  readonly #textSalt: number
  readonly #notes: string[] = []
  #runs = 0
  #saidFewAnswers = false

  /** `textSalt` keeps the texts of this bench apart from those of every other: a server's cache may know them. */
  constructor(options: BenchOptions, context: BenchContext, meters: readonly EnergyMeter[], textSalt: number) {
    this.#options = options
    this.#textSalt = textSalt
    this.#context = context
    this.#meters = meters
  }

  /** The user has stopped the bench: what is measured is reported, and nothing more is begun. */
  get stopped(): boolean {
    return this.#context.stop.aborted
  }

  /** What the report shall say, in order. */
  get notes(): readonly string[] {
    return this.#notes
  }

  note(line: string): void {
    this.#notes.push(line)
    this.#context.onNote(line)
  }

  /** All repeats of a load, and their figures together. */
  async measurePoint(offer: Offer): Promise<BenchPoint> {
    const { repeats } = this.#options
    const { label, load, firstRepeat = 0 } = offer
    const runs: RunResult[] = []
    for (let repeat = 0; repeat < repeats && !(repeat > 0 && this.stopped); repeat += 1) {
      const numbered = repeats === 1 ? offer : { ...offer, label: `${label} #${repeat + 1}` }
      runs.push(await this.run(numbered, firstRepeat + repeat))
    }
    this.#noteFewAnswers(runs)
    return { label, load, summary: combineRuns(runs, seedOf(this.#options)), runs }
  }

  /** One run. Equal numbers of a repeat have equal lengths and times, whatever ran between. */
  async run({ endpoint, shape, label, endHopeless = false }: Offer, repeat: number): Promise<RunResult> {
    const options = this.#runOptions(shape, endpoint)
    const seed = options.plan.seed + repeat * seedStride
    // Never an earlier run's texts: a cache would know them.
    const textSeed = seed ^ this.#textSalt ^ Math.imul(this.#runs, textStride)
    this.#runs += 1
    const { durationMs, maxRequests } = options.plan
    const enough = new AbortController()
    const { onRecord } = this.#context
    const run = await runLoad({
      ...options,
      plan: { ...options.plan, seed, textSeed },
      enough: enough.signal,
      ...(onRecord === undefined ? {} : { onRecord: (record: RequestRecord) => onRecord(label, record) }),
      onProgress: (progress) => {
        this.#context.onProgress(label, progress, durationMs, maxRequests)
        if (endHopeless && isHopeless(progress, this.#options.attainment)) enough.abort()
      },
    })
    this.#context.onRun(label, run)
    return run
  }

  /** Repeats that are too small for a p99 of their own are judged together; said once. */
  #noteFewAnswers(runs: readonly RunResult[]): void {
    const fewest = Math.min(...runs.map((run) => run.summary['completed'] ?? 0))
    if (runs.length < 2 || fewest >= fewestForP99 || this.#saidFewAnswers) return
    this.#saidFewAnswers = true
    this.note(
      `Repeats have as few as ${fewest} complete answers: percentiles that need more, and attainment, are taken over all repeats of a load together.`,
    )
  }

  #runOptions(shape: LoadShape, endpoint: Probe): RunOptions {
    const options = this.#options
    const plan = toLoadPlan(options, endpoint.target, endpoint.words.words, shape)
    const users = shape.kind === 'closed' ? peakConcurrency(plan) : 0
    return {
      plan,
      workers: toWorkers(options, plan),
      warmUp: toWarmUp(options, plan),
      price: {
        usdPerHour: options.usdPerHour,
        usdPerMtokInput: options.usdPerMtokInput,
        usdPerMtokOutput: options.usdPerMtokOutput,
      },
      tokenizerPath: options.tokenizer,
      metricsUrl: metricsUrl(options.metrics, endpoint.target.url),
      metricsPeriodMs,
      meters: this.#meters,
      limits: {
        maxSendLagMs: options.maxSendLag,
        maxReceiveLagMs: options.maxReceiveLag,
        maxFailuresInRow: options.maxFailuresInRow ?? Math.max(fewestFailuresInRow, 3 * users),
      },
      clock: this.#context.clock,
      stop: this.#context.stop,
    }
  }
}

/** The worst class cannot reach the target any more by chance: the run need not go on to its end. */
function isHopeless(progress: RunProgress, target: number): boolean {
  return progress.steady.classes.some((each) => {
    if (each.offered < fewestForEarlyEnd) return false
    return each.good / each.offered < target - 4 * Math.sqrt((target * (1 - target)) / each.offered)
  })
}
