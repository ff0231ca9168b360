import { createRandom } from '../../core/index.ts'
import { arrivalTimesMs, deriveSeed, nextTimeAtLevel, parseDistribution } from '../../workload/index.ts'
import { peakConcurrency, type LoadPlan } from '../plan.ts'
import type { RequestOutcome, RequestRecord } from '../metrics/record.ts'
import { LoadClient, type AbandonReason, type SentRequest } from './load-client.ts'
import { LoopWatch } from './loop-watch.ts'
import { RequestSource, type PlannedRequest, type Session } from './request-source.ts'

export interface LoadRunnerOptions {
  readonly plan: LoadPlan
  /** This runner's part: conversations and users whose number is `part` modulo `parts`. */
  readonly part: number
  readonly parts: number
  /** Ms since the start of the run; negative before it. */
  readonly nowMs: () => number
  readonly onRecord: (record: RequestRecord) => void
  readonly countTokens?: (text: string) => number
}

/** How long a runner that was told to stop waits for its answers. */
export type StopMode =
  /** No new requests; running ones may take until the drain limit. */
  | 'drain'
  /** Give up running requests too. */
  | 'now'

/**
 * Offers the plan's load and reports every request that it was to send, sent or not. Ends when the plan's
 * requests are done or its time is over and what was running has been answered or given up.
 */
export class LoadRunner {
  readonly watch = new LoopWatch()
  readonly #options: LoadRunnerOptions
  readonly #plan: LoadPlan
  readonly #client: LoadClient
  readonly #source: RequestSource
  /** Conversations of this part that may still begin. */
  readonly #sessions: number
  #begun = 0
  /** When load ends by itself: the duration, if any. */
  #lastScheduleMs: number
  /** Ends the wait of each request that stands at the cap, in order. */
  readonly #atCap: (() => void)[] = []
  /** Ends each sleep at once: load has ended. */
  readonly #sleepers = new Set<() => void>()
  /** No new requests. */
  #stopped = false
  /** Nothing more may be sent or awaited; set with the reason at the very end. */
  #over: AbandonReason | undefined
  #announceOver: () => void = () => {}

  constructor(options: LoadRunnerOptions) {
    const { plan, part, parts } = options
    this.#options = options
    this.#plan = plan
    this.#source = new RequestSource(plan)
    const total =
      plan.shape.kind === 'trace'
        ? Math.min(this.#source.traceTimesMs().length, plan.maxRequests)
        : Math.ceil(plan.maxRequests / plan.turns)
    this.#sessions = total === Infinity ? Infinity : Math.max(0, Math.ceil((total - part) / parts))
    this.#lastScheduleMs = plan.durationMs
    this.#client = new LoadClient({
      target: plan.target,
      timeoutMs: plan.timeoutMs,
      maxEventBytes: plan.maxEventBytes,
      keepText: plan.turns > 1 || options.countTokens !== undefined || plan.shape.kind === 'trace',
      nowMs: options.nowMs,
      watch: this.watch,
      ...(options.countTokens === undefined ? {} : { countTokens: options.countTokens }),
    })
  }

  get inFlight(): number {
    return this.#client.inFlight
  }

  get resent(): number {
    return this.#client.resent
  }

  /** Runs to the end. Never throws for anything that a server does. */
  async run(): Promise<void> {
    this.watch.start()
    const over = new Promise<void>((resolve) => {
      this.#announceOver = resolve
    })
    const timer = setInterval(() => this.#endDrain(), drainCheckMs)
    await Promise.race([this.#load(), over])
    clearInterval(timer)
    this.#over ??= 'unfinished'
    this.#client.abandon(this.#over)
    for (const release of this.#atCap.splice(0)) release()
    // The records of what was given up come before this returns.
    await new Promise((resolve) => setImmediate(resolve))
    this.watch.stop()
    this.#client.close()
  }

  stop(mode: StopMode): void {
    this.#stopped = true
    this.#lastScheduleMs = Math.min(this.#lastScheduleMs, this.#options.nowMs())
    for (const wake of this.#sleepers) wake()
    if (mode === 'drain') return
    this.#over = 'interrupted'
    this.#announceOver()
  }

  /** The drain limit: what runs so long after the end of load is given up. */
  #endDrain(): void {
    if (this.#options.nowMs() < this.#lastScheduleMs + this.#plan.drainMs) return
    this.#over = this.#stopped ? 'interrupted' : 'unfinished'
    this.#announceOver()
  }

  async #load(): Promise<void> {
    const { shape } = this.#plan
    if (shape.kind === 'closed') {
      const users = peakConcurrency(this.#plan)
      const mine: Promise<void>[] = []
      for (let user = this.#options.part; user < users; user += this.#options.parts) mine.push(this.#user(user, users))
      await Promise.all(mine)
    } else await this.#arrivals()
  }

  /** One user of a closed loop: ask, wait for the answer, think, ask again, while the plan has users enough. */
  async #user(user: number, users: number): Promise<void> {
    const { shape, seed } = this.#plan
    if (shape.kind !== 'closed') return
    const random = createRandom(deriveSeed(seed ^ 0x7573_6572, user))
    const think = parseDistribution(shape.thinkMs)
    let atMs = (shape.staggerMs * user) / users
    for (;;) {
      const dueMs = nextTimeAtLevel(shape.users, user + 1, atMs)
      if (dueMs === undefined || dueMs > this.#lastScheduleMs) return
      if (!(await this.#sleepUntil(dueMs))) return
      const session = this.#takeSession()
      if (session === undefined) return
      const lastEndMs = await this.#converse(session, dueMs)
      atMs = lastEndMs + think.sample(random)
    }
  }

  /** Open loop and traces: each arrival begins when it is due, whatever runs. */
  async #arrivals(): Promise<void> {
    const running = new Set<Promise<void>>()
    for (const dueMs of this.#arrivalTimes()) {
      if (dueMs > this.#lastScheduleMs) break
      if (!(await this.#sleepUntil(dueMs))) break
      const session = this.#takeSession()
      if (session === undefined) break
      const conversation: Promise<void> = this.#converse(session, dueMs).then(() => {
        running.delete(conversation)
      })
      running.add(conversation)
    }
    await Promise.all(running)
  }

  /** This part's arrival times: every runner draws all of them and keeps its own, so that the sum is the process. */
  *#arrivalTimes(): Generator<number> {
    const { shape, seed } = this.#plan
    const { part, parts } = this.#options
    if (shape.kind === 'closed') return
    const times: Iterable<number> =
      shape.kind === 'trace'
        ? this.#source.traceTimesMs()
        : arrivalTimesMs(shape.process, shape.rates, createRandom(deriveSeed(seed, 0x6172)))
    let index = 0
    for (const time of times) {
      if (index % parts === part) yield time
      index += 1
    }
  }

  #takeSession(): Session | undefined {
    if (this.#begun >= this.#sessions) return undefined
    const number = this.#options.part + this.#begun * this.#options.parts
    this.#begun += 1
    return this.#source.session(number)
  }

  /** All turns of a conversation; ends early where one fails. Resolves to the end of its last turn. */
  async #converse(session: Session, firstDueMs: number): Promise<number> {
    let dueMs = firstDueMs
    for (let turn = 0; turn < session.turns; turn += 1) {
      if (turn > 0 && !(await this.#sleepUntil(dueMs))) break
      const { record, text } = await this.#send(session, dueMs)
      this.#options.onRecord(record)
      dueMs = record.endMs
      if (record.outcome !== 'ok') {
        // A server that fails at once must not be asked as fast as it can fail.
        dueMs += this.#plan.failurePauseMs
        break
      }
      session.answered(text)
      if (turn + 1 < session.turns) dueMs = session.nextDueMs(record.endMs)
    }
    return dueMs
  }

  async #send(session: Session, dueMs: number): Promise<SentRequest> {
    const capFromMs = this.#options.nowMs()
    const capWaitMs = (await this.#waitForPlace()) ? this.#options.nowMs() - capFromMs : 0
    const planned = session.next()
    if (this.#over !== undefined) {
      const why = 'waited at the concurrency cap until the run ended'
      return { text: '', record: unsentRecord(planned, dueMs, this.#options.nowMs(), this.#over, why) }
    }
    const { maxInFlight } = this.#plan
    if (this.#client.inFlight >= maxInFlight / this.#options.parts) {
      const why = `${maxInFlight} requests were running: the limit maxInFlight`
      return { text: '', record: unsentRecord(planned, dueMs, this.#options.nowMs(), 'notSent', why) }
    }
    const sent = await this.#client.send(planned, dueMs, capWaitMs)
    this.#atCap.shift()?.()
    return sent
  }

  /** True where an open loop's cap made the request wait. */
  async #waitForPlace(): Promise<boolean> {
    const { shape } = this.#plan
    const cap = shape.kind === 'open' ? Math.max(1, Math.floor(shape.maxConcurrency / this.#options.parts)) : Infinity
    let waited = false
    while (this.#client.inFlight >= cap && this.#over === undefined) {
      waited = true
      await new Promise<void>((resolve) => {
        this.#atCap.push(resolve)
      })
    }
    return waited
  }

  /** False where the run was stopped before. */
  async #sleepUntil(dueMs: number): Promise<boolean> {
    for (;;) {
      if (this.#stopped || this.#over !== undefined) return false
      const waitMs = dueMs - this.#options.nowMs()
      if (waitMs <= 0) return true
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer)
          this.#sleepers.delete(wake)
          resolve()
        }
        const timer = setTimeout(wake, Math.min(waitMs, longestTimerMs))
        this.#sleepers.add(wake)
      })
    }
  }
}

/** setTimeout's limit: 2³¹ − 1 ms. */
const longestTimerMs = 0x7fff_ffff
const drainCheckMs = 100

/** The record of a request that the load model wanted and that was never handed to the HTTP client. */
function unsentRecord(
  planned: PlannedRequest,
  scheduledMs: number,
  nowMs: number,
  outcome: RequestOutcome,
  message: string,
): RequestRecord {
  return {
    session: planned.session,
    turn: planned.turn,
    classIndex: planned.classIndex,
    scheduledMs,
    sentMs: nowMs,
    capWaitMs: 0,
    firstEventMs: undefined,
    chunksMs: new Float64Array(0),
    chunkTokens: undefined,
    endMs: nowMs,
    outcome,
    status: 0,
    message,
    streamed: false,
    promptTokensAsked: planned.promptTokens,
    outputTokensAsked: planned.outputTokens,
    promptTokens: undefined,
    cachedTokens: undefined,
    outputTokens: 0,
    outputTokensFrom: 'chunks',
    outputChars: 0,
    finishReason: undefined,
  }
}
