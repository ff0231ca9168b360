import { TokenmillError } from '../core/index.ts'
import type { LoadShape } from './plan.ts'
import type { BenchOptions } from './options.ts'
import { hasObjectives } from './metrics/objectives.ts'
import type { RequestRecord } from './metrics/record.ts'
import { nvidiaMeter, dcgmMeter, raplMeter, statedMeter, type EnergyMeter } from './observe/energy.ts'
import { readEnvironment } from './observe/environment.ts'
import { findModel, probeEndpoint, type Probe } from './probe.ts'
import { defaultPatienceMs } from './readiness.ts'
import { combineRuns, objectivesHeld, type BenchPoint, type BenchResult, type RunResult } from './result.ts'
import { runLoad, type RunOptions, type RunProgress } from './run.ts'
import { compareRuns } from './search/comparison.ts'
import { judgePoint, searchRate } from './search/goodput-search.ts'
import {
  closedLoop,
  describeLoad,
  openLoop,
  parseBaseUrl,
  parseClasses,
  parseShape,
  steady,
  toHeaders,
  toLoadPlan,
  toTarget,
  toWarmUp,
  toWorkers,
} from './settings.ts'
import { peakConcurrency } from './plan.ts'

/** What a bench is run by: time, the user's stop, and who watches. */
export interface BenchContext {
  readonly nowMs: () => number
  readonly stop: AbortSignal
  readonly version: string
  /** The exact command line, secrets removed. */
  readonly command: string
  readonly onNote: (line: string) => void
  readonly onProgress: (label: string, progress: RunProgress, durationMs: number, requests: number) => void
  readonly onRun: (label: string, run: RunResult) => void
  readonly onRecord?: (label: string, record: RequestRecord) => void
}

/** Most points of a search for goodput: doubling over 20 binary orders, or bisecting to half a percent. */
const maxSearchPoints = 24
/** A goodput point whose verdict is not certain is measured again up to so many times. */
const maxExtensions = 2
const fewestCompared = 3
/** Requests from which a hopeless goodput point is ended early. */
const fewestForEarlyEnd = 60
/** Between the seeds of repeats: a prime, so that repeats of neighbouring seeds do not coincide. */
const seedStride = 7919
/** Between the texts of runs: the golden ratio in 32 bits, which spreads neighbours widest. */
const textStride = 0x9e37_79b9

/** Measures what the options ask for. Throws TokenmillError for bad options and endpoints that do not answer. */
export async function runBench(
  options: BenchOptions,
  urls: readonly string[],
  context: BenchContext,
): Promise<BenchResult> {
  return new Bench(options, context).measure(urls)
}

class Bench {
  readonly #options: BenchOptions
  readonly #context: BenchContext
  readonly #notes: string[] = []
  #meters: readonly EnergyMeter[] = []
  #runs = 0

  constructor(options: BenchOptions, context: BenchContext) {
    this.#options = options
    this.#context = context
  }

  async measure(urls: readonly string[]): Promise<BenchResult> {
    const options = this.#options
    const modes = [options.sweep !== undefined, options.findGoodput, options.compare].filter(Boolean)
    if (modes.length > 1)
      throw new TokenmillError('invalid_request', '--sweep, --find-goodput and --compare exclude each other.')
    const wanted = options.compare ? 2 : 1
    if (urls.length !== wanted)
      throw new TokenmillError(
        'invalid_request',
        `${wanted === 2 ? 'Two URLs are' : 'One URL is'} needed; ${urls.length} given.`,
      )
    // Everything that can be wrong with the options is found before the first request.
    const shape = parseShape(options)
    const classes = parseClasses(options)
    if (options.findGoodput && !classes.every((each) => hasObjectives(each.objectives)))
      throw new TokenmillError(
        'invalid_request',
        '--find-goodput needs objectives: --slo ttft=300ms,tpot=30ms or --class.',
      )
    const startedAt = new Date().toISOString()
    const probes: Probe[] = []
    for (const [index, url] of urls.entries()) probes.push(await this.#probe(url, index))
    const [first, second] = probes
    if (first === undefined) throw new TokenmillError('invalid_request', 'One URL is needed.')
    this.#meters = await findMeters(options, first.target.url)
    const points = await this.#points(shape, first, second)
    const [a, b] = points
    const best = options.findGoodput ? this.#bestPoint(points) : points.at(-1)
    const runs = points.flatMap((point) => point.runs)
    const judged = options.findGoodput ? (best?.runs ?? []) : runs
    const plan = toLoadPlan(options, first.target, first.words.words, shape)
    return {
      tool: 'tokenmill bench',
      version: this.#context.version,
      kind: options.compare
        ? 'compare'
        : options.findGoodput
          ? 'goodput'
          : options.sweep === undefined
            ? 'run'
            : 'sweep',
      command: this.#context.command,
      startedAt,
      seed: options.seed,
      environment: readEnvironment(),
      target: {
        url: urls.join(' and '),
        model: probes.map((probe) => probe.target.model).join(' and '),
        api: options.api,
        streamed: first.target.stream,
      },
      loadText: describeLoad(plan, searchText(options)),
      loop: options.findGoodput || options.sweep?.startsWith('rate') === true ? 'open' : shape.kind,
      lengthsFrom: first.words.source,
      attainmentTarget: options.attainment,
      summary: { ...best?.summary, ...this.#searchSummary(best) },
      points,
      ...(options.compare && a !== undefined && b !== undefined
        ? { ratios: compareRuns(a.runs, b.runs, options.seed) }
        : {}),
      sloHeld: options.findGoodput && best === undefined ? false : objectivesHeld(judged, options.attainment),
      valid: judged.length > 0 && judged.every((run) => run.problems.length === 0),
      notes: this.#notes,
    }
  }

  async #probe(urlText: string, index: number): Promise<Probe> {
    const options = this.#options
    const url = parseBaseUrl(urlText)
    const named = index === 1 ? (options.modelB ?? options.model) : options.model
    const patience = {
      limitMs: options.readyTimeout ?? defaultPatienceMs,
      unheard: options.readyTimeout !== undefined,
      stop: this.#context.stop,
      nowMs: this.#context.nowMs,
      onWait: this.#context.onNote,
    }
    const model = named ?? (await findModel(url, toHeaders(options), patience))
    const probe = await probeEndpoint({
      target: toTarget(options, url, model),
      tokenizerPath: options.tokenizer,
      timeoutMs: Math.min(options.timeout, longestProbeMs),
      maxEventBytes: options.maxEventBytes,
      patience,
    })
    for (const note of probe.notes) this.#note(note)
    return probe
  }

  #points(shape: LoadShape, first: Probe, second: Probe | undefined): Promise<BenchPoint[]> {
    if (second !== undefined) return this.#compare(shape, first, second)
    if (this.#options.findGoodput) return this.#findGoodput(first)
    if (this.#options.sweep !== undefined) return this.#sweep(this.#options.sweep, first)
    const label = describeShape(shape)
    return this.#repeat(this.#runOptions(shape, first), label, levelOf(shape)).then((point) => [point])
  }

  async #sweep(text: string, probe: Probe): Promise<BenchPoint[]> {
    const match = /^(concurrency|rate)=(.+)$/.exec(text)
    const levels = match?.[2]?.split(',').map(Number) ?? []
    if (match === null || levels.length === 0 || !levels.every((level) => level > 0))
      throw new TokenmillError('invalid_request', `--sweep is '${text}'; write concurrency=1,2,4,8 or rate=1,2,4.`)
    const points: BenchPoint[] = []
    for (const level of levels) {
      if (this.#context.stop.aborted) break
      const open = match[1] === 'rate'
      const shape = open ? openLoop(this.#options, [steady(level)]) : closedLoop(this.#options, [steady(level)])
      const label = open ? `${level} requests/s` : usersLabel(level)
      points.push(await this.#repeat(this.#runOptions(shape, probe), label, level))
    }
    return points
  }

  async #findGoodput(probe: Probe): Promise<BenchPoint[]> {
    const { startRate, precision, attainment } = this.#options
    const points: BenchPoint[] = []
    const holds = async (rate: number): Promise<boolean> => {
      const shape = openLoop(this.#options, [steady(rate)])
      const label = `${Number(rate.toPrecision(4))} requests/s`
      let point: BenchPoint = { label, load: rate, summary: {}, runs: [] }
      for (let round = 0; round <= maxExtensions; round += 1) {
        if (this.#context.stop.aborted) return false
        const options = this.#runOptions(shape, probe)
        const seeded = { ...options, plan: { ...options.plan, seed: options.plan.seed + round * seedStride } }
        const more = await this.#repeat(seeded, label, rate, true)
        const runs = [...point.runs, ...more.runs]
        point = { label, load: rate, summary: combineRuns(runs, this.#options.seed), runs }
        if (judgePoint(point, attainment).certain) break
      }
      points.push(point)
      const verdict = judgePoint(point, attainment)
      this.#note(
        `${label}: ${verdict.holds ? 'holds' : 'fails'}${verdict.certain ? '' : ' (not certain)'}: ${verdict.reason}`,
      )
      return verdict.holds
    }
    await searchRate({ startRate, precision, maxPoints: maxSearchPoints }, (rate) =>
      this.#context.stop.aborted ? Promise.resolve(false) : holds(rate),
    )
    return points.toSorted((a, b) => a.load - b.load)
  }

  async #compare(shape: LoadShape, first: Probe, second: Probe): Promise<BenchPoint[]> {
    const repeats = Math.max(fewestCompared, this.#options.repeats)
    const sides = [
      { label: 'A', options: this.#runOptions(shape, first), runs: [] as RunResult[] },
      { label: 'B', options: this.#runOptions(shape, second), runs: [] as RunResult[] },
    ]
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      // A B, B A, A B: neither profits from what the machine does along the way.
      for (const side of repeat % 2 === 0 ? sides : sides.toReversed()) {
        if (this.#context.stop.aborted) break
        const plan = { ...side.options.plan, seed: side.options.plan.seed + repeat * seedStride }
        side.runs.push(await this.#run({ ...side.options, plan }, `${side.label}${repeat + 1}`))
      }
    }
    return sides.map((side) => ({
      label: side.label,
      load: levelOf(shape),
      summary: combineRuns(side.runs, this.#options.seed),
      runs: side.runs,
    }))
  }

  async #repeat(run: RunOptions, label: string, load: number, endHopeless = false): Promise<BenchPoint> {
    const runs: RunResult[] = []
    const { repeats, seed } = this.#options
    for (let repeat = 0; repeat < repeats && !(repeat > 0 && this.#context.stop.aborted); repeat += 1) {
      const plan = { ...run.plan, seed: run.plan.seed + repeat * seedStride }
      runs.push(await this.#run({ ...run, plan }, repeats === 1 ? label : `${label} #${repeat + 1}`, endHopeless))
    }
    return { label, load, summary: combineRuns(runs, seed), runs }
  }

  async #run(options: RunOptions, label: string, endHopeless = false): Promise<RunResult> {
    const { durationMs, maxRequests } = options.plan
    const enough = new AbortController()
    const { onRecord } = this.#context
    // Equal lengths and times where seeds are equal, but never an earlier run's texts: a cache would know them.
    const textSeed = options.plan.seed ^ Math.imul(this.#runs, textStride)
    this.#runs += 1
    const run = await runLoad({
      ...options,
      plan: { ...options.plan, textSeed },
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

  #runOptions(shape: LoadShape, probe: Probe): RunOptions {
    const options = this.#options
    const plan = toLoadPlan(options, probe.target, probe.words.words, shape)
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
      metricsUrl: metricsUrl(options.metrics, probe.target.url),
      metricsPeriodMs,
      meters: this.#meters,
      limits: {
        maxSendLagMs: options.maxSendLag,
        maxReceiveLagMs: options.maxReceiveLag,
        maxFailuresInRow: options.maxFailuresInRow ?? Math.max(fewestFailuresInRow, 3 * users),
      },
      nowMs: this.#context.nowMs,
      stop: this.#context.stop,
    }
  }

  /** The highest rate that held. */
  #bestPoint(points: readonly BenchPoint[]): BenchPoint | undefined {
    return points.findLast((point) => judgePoint(point, this.#options.attainment).holds)
  }

  #searchSummary(best: BenchPoint | undefined): Record<string, number | null> {
    return this.#options.findGoodput ? { maxRateRps: best?.load ?? null } : {}
  }

  #note(line: string): void {
    this.#notes.push(line)
    this.#context.onNote(line)
  }
}

function searchText({ sweep, findGoodput, arrivals }: BenchOptions): string | undefined {
  if (findGoodput) return `open loop (${arrivals}), searching the highest rate within objectives`
  if (sweep === undefined) return undefined
  return `${sweep.startsWith('rate') ? `open loop (${arrivals})` : 'closed loop'}, sweep ${sweep}`
}

const longestProbeMs = 60_000
const metricsPeriodMs = 1_000
const fewestFailuresInRow = 100

/** The worst class cannot reach the target any more by chance: the point need not run to its end. */
function isHopeless(progress: RunProgress, target: number): boolean {
  return progress.steady.classes.some((each) => {
    if (each.offered < fewestForEarlyEnd) return false
    return each.good / each.offered < target - 4 * Math.sqrt((target * (1 - target)) / each.offered)
  })
}

function metricsUrl(asked: string | undefined, targetUrl: string): string | undefined {
  if (asked === 'none') return undefined
  return asked ?? `${targetUrl.replace(/\/v1$/, '')}/metrics`
}

async function findMeters(options: BenchOptions, url: string): Promise<EnergyMeter[]> {
  const asked = options.energy
  if (asked === 'none') return []
  if (asked?.startsWith('watts=') === true) {
    const watts = Number(asked.slice('watts='.length))
    if (watts > 0) return [statedMeter(watts)]
  }
  if (asked?.startsWith('dcgm=') === true) return [dcgmMeter(asked.slice('dcgm='.length))]
  if (asked !== undefined && asked !== 'nvidia' && asked !== 'rapl')
    throw new TokenmillError(
      'invalid_request',
      `--energy is '${asked}'; write none, nvidia, rapl, dcgm=URL or watts=350.`,
    )
  const { hostname } = new URL(url)
  const isHere = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
  if (asked === undefined && !isHere) return []
  const meters = await Promise.all([
    asked === 'rapl' ? undefined : nvidiaMeter(),
    asked === 'nvidia' ? undefined : raplMeter(),
  ])
  const found = meters.filter((meter) => meter !== undefined)
  if (asked !== undefined && found.length === 0)
    throw new TokenmillError('invalid_request', `--energy ${asked} finds no such meter on this machine.`)
  return found
}

function usersLabel(users: number): string {
  return users === 1 ? '1 user' : `${users} users`
}

function describeShape(shape: LoadShape): string {
  if (shape.kind === 'trace') return 'trace'
  return shape.kind === 'closed' ? usersLabel(levelOf(shape)) : `${levelOf(shape)} requests/s`
}

/** The highest level of a shape: users, or requests per second; of a trace its requests. */
function levelOf(shape: LoadShape): number {
  if (shape.kind === 'trace') return shape.requests.length
  const stages = shape.kind === 'closed' ? shape.users : shape.rates
  return Math.max(...stages.map((stage) => Math.max(stage.from, stage.to)))
}
