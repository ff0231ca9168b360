import type { Clock, ErrorCode } from '../../core/index.ts'
import type { LoopEvent, LoopStatus, RowLogprobs } from '../messages.ts'
import { GrammarError, type Backend, type Chunk, type Row, type Vocabulary } from './backend.ts'
import { KvCache } from './kv-cache.ts'
import { logprobsOfRow } from './logprobs.ts'
import { Sequence, type Job, type RequestGroup } from './sequence.ts'
import { planStep, type Pass } from './step-plan.ts'
import type { LearnedStepModel } from './step-model.ts'

export interface StepLoopOptions {
  /** Most sequences that run at once. */
  readonly slots: number
  /** See options.ts. Undefined: 1.75 times the time of a step without prefill. */
  readonly stepTargetMs: number | undefined
  readonly longestStepMs: number
}

/**
 * The engine's loop. One `step()` tells the whole story: schedule → decode → sample → emit.
 *
 * A sequence has computed tokens and target tokens (its prompt and what it has generated). A step moves the first
 * towards the second; where they meet, the next token is drawn and the target moves on. Prefill and decode are not two
 * modes: a sequence that generates has one token to compute, one that begins has many, one that was preempted has all.
 *
 * The loop owns sequences and samplers; KvCache owns streams. Whatever ends a sequence goes through `#end`.
 */
export class StepLoop {
  readonly #backend: Backend
  readonly #vocabulary: Vocabulary
  readonly #model: LearnedStepModel
  readonly #clock: Clock
  readonly #options: StepLoopOptions
  readonly #cache: KvCache
  /** In order of arrival. A preempted sequence returns to its place in that order. */
  readonly #waiting: Sequence[] = []
  #running: Sequence[] = []
  readonly #groups = new Map<number, RequestGroup>()
  /** Of the last pass. */
  #adapter = 0
  #events: LoopEvent[] = []
  /** The vocabulary's ends of generation, once somebody wants a text without them. */
  #ends: readonly number[] | undefined
  #arrivals = 0
  #preemptions = 0
  #steps = 0

  constructor(
    backend: Backend,
    vocabulary: Vocabulary,
    model: LearnedStepModel,
    clock: Clock,
    options: StepLoopOptions,
  ) {
    this.#backend = backend
    this.#vocabulary = vocabulary
    this.#model = model
    this.#clock = clock
    this.#options = options
    this.#cache = new KvCache(backend)
  }

  get busy(): boolean {
    return this.#running.length > 0 || this.#waiting.length > 0
  }

  /** Whether the next step does nothing but compute one token of each running sequence: it takes about as long as the last. */
  get decodesOnly(): boolean {
    return this.busy && this.#waiting.length === 0 && this.#running.every(({ remaining }) => remaining === 1)
  }

  get vocabularySize(): number {
    return this.#backend.shape.vocabulary
  }

  get cache(): KvCache {
    return this.#cache
  }

  status(): LoopStatus {
    return {
      running: this.#running.length,
      waiting: this.#waiting.length,
      kvCells: this.#cache.runningCells(),
      prefixQueries: this.#cache.queries,
      prefixHits: this.#cache.hits,
      preemptions: this.#preemptions,
      steps: this.#steps,
    }
  }

  submit(job: Job): void {
    const group: RequestGroup = {
      job,
      promptTokens: job.prompt.length,
      deadlineAtMs: job.deadlineMs === undefined ? Infinity : this.#clock.now() + job.deadlineMs,
      open: job.n,
      prefilled: false,
      promptLogprobs: job.promptLogprobs === undefined ? undefined : [],
    }
    this.#groups.set(job.key, group)
    for (let index = 0; index < job.n; index += 1) {
      this.#waiting.push(new Sequence(group, index, (this.#arrivals += 1), job.prompt))
    }
  }

  /** Frees all that the request holds, at once. */
  cancel(key: number): void {
    const group = this.#groups.get(key)
    if (group !== undefined) this.#drop(group)
  }

  /** One turn. Returns what is to be told, in order. */
  step(): LoopEvent[] {
    this.#events = []
    this.#expire()
    const passes = this.#schedule()
    for (const pass of passes) {
      for (const computed of this.#decode(pass)) {
        const token = this.#sample(computed)
        if (token !== undefined) this.#emit(computed, token)
      }
    }
    if (passes.length > 0) this.#steps += 1
    return this.#events
  }

  // ── schedule ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Gives waiting sequences their places, and those that may begin their prefixes; then plans what is computed. */
  #schedule(): Pass[] {
    while (this.#running.length < this.#options.slots) {
      const next = this.#waiting[0]
      if (next === undefined || !this.#cache.place(next)) break
      this.#waiting.shift()
      this.#running.push(next)
    }
    this.#cache.densify()
    const started = this.#running.filter(
      (sequence) => sequence.started || (sequence.mayBegin && this.#cache.begin(sequence)),
    )
    const waiting = this.#waiting.length + this.#running.length - started.length
    const { batchTokens } = this.#backend.shape
    return planStep(this.#model, { ...this.#options, started, waiting, adapter: this.#adapter, batchTokens })
  }

  // ── decode ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Computes the pass. Without free cells: evicts what ended sequences left, then preempts the newest, and tries again. */
  #decode(pass: Pass): readonly Computed[] {
    this.#adapter = pass.adapter
    for (;;) {
      // Those that have ended or gone back to waiting since the pass was planned are not in it.
      const sequences = pass.sequences.filter((sequence) => sequence.started && this.#running.includes(sequence))
      if (sequences.length === 0) return []
      const chunks = sequences.map((sequence) => chunkOf(sequence, pass.chunk))
      const beganAtMs = this.#clock.now()
      if (this.#backend.decode(chunks, pass.adapter) === 'computed') {
        this.#observe(pass, chunks, this.#clock.now() - beganAtMs)
        return sequences.map((sequence, at) => ({ sequence, at, count: chunks[at]?.count ?? 0 }))
      }
      if (!this.#cache.evict()) this.#preemptNewest()
    }
  }

  #observe({ chunk }: Pass, chunks: readonly Chunk[], tookMs: number): void {
    if (chunk === 1) this.#model.observe(chunks.length, 0, tookMs)
    else
      this.#model.observe(
        0,
        chunks.reduce((sum, { count }) => sum + count, 0),
        tookMs,
      )
  }

  /** The newest sequence gives up its cells and waits for its turn; alone and still too long, it ends. */
  #preemptNewest(): void {
    const newest = this.#running.reduce((one, other) => (other.arrival > one.arrival ? other : one))
    if (this.#running.length === 1) {
      this.#flush(newest, 'length')
      return
    }
    this.#preemptions += 1
    this.#cache.release(newest, false)
    this.#running = this.#running.filter((sequence) => sequence !== newest)
    newest.stream = -1
    newest.computed = 0
    newest.started = false
    const place = this.#waiting.findIndex((sequence) => sequence.arrival > newest.arrival)
    this.#waiting.splice(place < 0 ? this.#waiting.length : place, 0, newest)
  }

  // ── sample ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Notes that the chunk is computed, and draws the token behind it; undefined where none is due. */
  #sample(computed: Computed): number | undefined {
    const { sequence, at, count } = computed
    const { group } = sequence
    if (sequence.needsAllLogits) this.#collectPromptLogprobs(computed)
    // Also where the request has failed meanwhile: what is computed stays behind as a prefix.
    sequence.computed += count
    if (sequence.remaining > 0 || !this.#groups.has(group.job.key)) return undefined
    if (!group.prefilled) this.#announcePrefill(sequence)
    // A request that scores a prompt wants no token after it.
    if (group.job.maxTokens !== 0) return this.#draw(sequence, this.#backend.rowOf(at, count - 1))
    this.#flush(sequence, 'length')
    return undefined
  }

  /** The next token; undefined where the request's grammar failed, and the request with it. */
  #draw(sequence: Sequence, row: Row): number | undefined {
    const { job } = sequence.group
    try {
      // All ones would mean a random seed to libllama.
      const seed = (job.sampling.seed + sequence.index) % 0xffff_ffff
      sequence.sampler ??= this.#backend.createSampler({ ...job.sampling, seed, prompt: job.prompt })
      const { sampler } = sequence
      const forbidden = this.#forbidden(sequence)
      if (forbidden.length === 0) return sampler.sample(row)
      return sampleWithout(this.#backend.logits(row), forbidden, () => sampler.sample(row))
    } catch (error) {
      if (!(error instanceof GrammarError)) throw error
      this.#fail(sequence.group, 'invalid_request', error.message)
      return undefined
    }
  }

  /** Tokens that would end the sequence too early. Where a grammar is complete it allows nothing but the end: it decides. */
  #forbidden({ generated, group: { job } }: Sequence): readonly number[] {
    if (generated >= job.minTokens || job.sampling.grammar !== undefined) return []
    this.#ends ??= Array.from({ length: this.vocabularySize }, (_, token) => token).filter((token) =>
      this.#vocabulary.isEndOfGeneration(token),
    )
    return [...this.#ends, ...job.stopTokens, ...job.turnEndTokens]
  }

  #collectPromptLogprobs({ sequence, at, count }: Computed): void {
    const { job, promptLogprobs, promptTokens } = sequence.group
    for (let token = 0; token < count; token += 1) {
      const next = sequence.computed + token + 1
      if (next >= promptTokens || promptLogprobs?.length !== next - 1) continue
      const row = this.#backend.rowOf(at, token)
      promptLogprobs.push(this.#logprobsOf(row, sequence.tokens[next] as number, job.promptLogprobs ?? 0))
    }
  }

  #announcePrefill({ group, tokens, cached }: Sequence): void {
    group.prefilled = true
    const [first = 0] = tokens
    const unknown: RowLogprobs = {
      token: { id: first, bytes: this.#vocabulary.piece(first, true), logprob: -Infinity },
      top: [],
    }
    this.#events.push({
      type: 'prefilled',
      key: group.job.key,
      promptTokens: group.promptTokens,
      cachedTokens: cached,
      promptLogprobs: group.promptLogprobs === undefined ? undefined : [unknown, ...group.promptLogprobs],
    })
  }

  #logprobsOf(row: Row, token: number, top: number): RowLogprobs {
    return logprobsOfRow(this.#backend.logits(row), token, top, (id) => this.#vocabulary.piece(id, true))
  }

  // ── emit ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Adds the token to its sequence and tells its text; ends the sequence where the token is its last. */
  #emit({ sequence, at, count }: Computed, token: number): void {
    const { output, group } = sequence
    const { job } = group
    sequence.append(token)
    output.count()
    if (sequence.generated === establishedTokens) sequence.arrivalsWhenEstablished = this.#arrivals
    if (sequence.mayStop && job.stopTokens.includes(token)) return this.#flush(sequence, 'stop', token)
    const ends = this.#vocabulary.isEndOfGeneration(token)
    if (ends && !job.ignoreEos) return this.#flush(sequence, 'stop')
    if (!ends) {
      const piece = this.#vocabulary.piece(token, job.shownTokens.has(token))
      // Log-probabilities are those of the text: tokens that are not shown are none of it.
      if (job.logprobs !== undefined && piece.length > 0) {
        output.note(this.#logprobsOf(this.#backend.rowOf(at, count - 1), token, job.logprobs))
      }
      const { event, stop } = output.push(piece, sequence.mayStop)
      this.#tell(event)
      if (stop !== undefined) return this.#finish(sequence, 'stop', stop)
    }
    const full = sequence.length >= this.#backend.shape.sequenceCells
    if (full || sequence.generated >= (job.maxTokens ?? Infinity)) this.#flush(sequence, 'length')
  }

  /** Ends a sequence after letting out what was held back: half characters, and what might have become a stop text. */
  #flush(sequence: Sequence, reason: 'stop' | 'length', stopToken?: number): void {
    const { event, stop } = sequence.output.flush(sequence.mayStop)
    this.#tell(event)
    this.#finish(sequence, stop === undefined ? reason : 'stop', stop ?? stopToken)
  }

  #tell(event: LoopEvent | undefined): void {
    if (event !== undefined) this.#events.push(event)
  }

  #finish(sequence: Sequence, reason: 'stop' | 'length', stopReason: string | number | undefined): void {
    const { group, index } = sequence
    if (!group.prefilled) this.#announcePrefill(sequence)
    this.#tell(sequence.output.rest())
    this.#end(sequence, true)
    group.open -= 1
    if (group.open === 0) this.#groups.delete(group.job.key)
    this.#events.push({ type: 'finished', key: group.job.key, index, reason, stopReason, last: group.open === 0 })
  }

  // ── endings ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #expire(): void {
    const nowMs = this.#clock.now()
    for (const group of this.#groups.values()) {
      if (nowMs < group.deadlineAtMs) continue
      const message = `The request did not end within its deadline of ${group.job.deadlineMs} ms.`
      this.#fail(group, 'deadline_exceeded', message)
    }
  }

  #fail(group: RequestGroup, code: ErrorCode, message: string): void {
    this.#drop(group)
    this.#events.push({ type: 'failed', key: group.job.key, code, message, details: {} })
  }

  #drop(group: RequestGroup): void {
    this.#groups.delete(group.job.key)
    for (const sequence of this.#running) if (sequence.group === group) this.#end(sequence, true)
    for (const sequence of this.#waiting) if (sequence.group === group) sequence.sampler?.free()
    const others = this.#waiting.filter((sequence) => sequence.group !== group)
    this.#waiting.splice(0, this.#waiting.length, ...others)
  }

  #end(sequence: Sequence, keep: boolean): void {
    this.#cache.release(sequence, keep)
    this.#running = this.#running.filter((other) => other !== sequence)
    sequence.sampler?.free()
    sequence.sampler = undefined
  }
}

/** Draws with the tokens' logits at −∞, and puts back what was there: log-probabilities are of the raw row. */
function sampleWithout(logits: Float32Array, tokens: readonly number[], sample: () => number): number {
  const raw = tokens.map((token) => logits[token] as number)
  for (const token of tokens) logits[token] = -Infinity
  try {
    return sample()
  } finally {
    // Backwards: a token that is named twice was raw the first time.
    for (let at = tokens.length - 1; at >= 0; at -= 1) logits[tokens[at] as number] = raw[at] as number
  }
}

/** A sequence whose chunk was the pass's `at`-th, of so many tokens. */
interface Computed {
  readonly sequence: Sequence
  readonly at: number
  readonly count: number
}

/** The sequence's next tokens, at most so many. The last one of its target is drawn from. */
function chunkOf(sequence: Sequence, most: number): Chunk {
  const { stream, tokens, computed: from, remaining } = sequence
  const count = Math.min(most, remaining)
  const logits = sequence.needsAllLogits ? 'all' : count === remaining ? 'last' : 'none'
  return { stream, tokens, from, count, logits }
}

/** Tokens after which a reader would notice a pause. Requests of one burst do not all arrive before its first token. */
const establishedTokens = 8
