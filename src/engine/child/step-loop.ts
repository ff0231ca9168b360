import { GrammarError, type Backend, type Vocabulary } from './backend.ts'
import { KvCache } from './kv-cache.ts'
import { logprobsOfRow } from './logprobs.ts'
import { Sequence, type Job, type RequestGroup } from './sequence.ts'
import type { LoopEvent, LoopStatus, RowLogprobs } from '../messages.ts'
import { leastChunkTokens, prefillBudget } from './prefill-budget.ts'
import type { LearnedStepModel } from './step-model.ts'
import type { Clock, ErrorCode } from '../../core/index.ts'

export interface StepLoopOptions {
  /** Most sequences that run at once. */
  readonly slots: number
  /** See options.ts. Undefined: 1.75 times the time of a step without prefill. */
  readonly stepTargetMs: number | undefined
  readonly longestStepMs: number
}

/**
 * The engine's loop. One `step()` tells the whole story: schedule, decode, sample, emit.
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
  /** Sequences of the current batch with the row whose logits they wait for, −1 for none. */
  #planned: Planned[] = []
  /** Of the last pass: the next step begins with it, for a change makes libllama plan its graph anew. */
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
    this.#schedule()
    const passes = this.#plan()
    for (const pass of passes) {
      this.#decode(pass)
      this.#sample()
    }
    if (passes.length > 0) this.#steps += 1
    return this.#events
  }

  // ── schedule ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #schedule(): void {
    while (this.#running.length < this.#options.slots) {
      const next = this.#waiting[0]
      if (next === undefined || !this.#cache.place(next)) break
      this.#waiting.shift()
      this.#running.push(next)
    }
    this.#cache.densify()
  }

  /**
   * Decides how many tokens of each running sequence this step computes, in passes over the weights: one for all that
   * wait for a single token (of each adapter), then one for each prompt while the budget lasts. In one batch libllama would cut them into
   * pieces of equal length itself, and odd pieces are slow: 16 streams and 16 prompt tokens take 1.8 to 2.2 times the
   * streams alone, in two passes 1.5 to 2.05 times.
   */
  #plan(): Pass[] {
    const starting = this.#running.filter(
      (sequence) => sequence.started || (sequence.mayBegin && this.#cache.begin(sequence)),
    )
    const prompts = starting.filter(({ remaining }) => remaining > 1).sort((one, other) => one.arrival - other.arrival)
    const decoding = starting.filter((sequence) => sequence.remaining === 1)
    const passes = this.#decodingPasses(decoding, prompts)
    let budget = this.#budget(decoding, prompts)
    for (const sequence of prompts) {
      const most = Math.min(budget, longestChunk(sequence), this.#backend.shape.batchTokens)
      if (most < leastChunkTokens) break
      // Rows are multiplied sixteen at a time: a few more cost as much as sixteen.
      const chunk = sequence.remaining <= most ? sequence.remaining : most - (most % leastChunkTokens)
      passes.push({ sequences: [sequence], chunk, adapter: sequence.adapter })
      budget -= chunk
    }
    return passes
  }

  #decodingPasses(decoding: readonly Sequence[], prompts: readonly Sequence[]): Pass[] {
    const groups = Map.groupBy(decoding, ({ adapter }) => adapter)
    const current = groups.get(this.#adapter)
    const order = current === undefined ? [...groups] : new Map([[this.#adapter, current], ...groups])
    return Array.from(order, ([adapter, group]) => {
      const streams = group.map((sequence) => sequence.stream)
      const [first, last] = [Math.min(...streams), Math.max(...streams)]
      // A prompt whose stream lies between theirs joins them with one token: a gap would cost a pass of its own.
      const between = prompts.filter((each) => each.adapter === adapter && each.stream > first && each.stream < last)
      const sequences = [...group, ...between].sort((one, other) => one.stream - other.stream)
      return { sequences, chunk: 1, adapter }
    })
  }

  /** Prefill tokens for this step: what the target leaves. */
  #budget(streams: readonly Sequence[], [next]: readonly Sequence[]): number {
    const decoding = streams.length
    const waiting = this.#waiting.length + this.#running.length - decoding
    // One that was preempted came first, but the others stream since: it does not hold them up for having been there.
    const arrival = next === undefined || next.generated > 0 ? Infinity : next.arrival
    const established = streams.filter(({ arrivalsWhenEstablished }) => arrivalsWhenEstablished < arrival).length
    const { stepTargetMs, longestStepMs } = this.#options
    return prefillBudget(this.#model, { decoding, established, waiting, targetMs: stepTargetMs, longestStepMs })
  }

  /** Fills the batch with the pass's sequences, but for those that have ended or gone back to waiting since it was planned. */
  #load({ sequences, chunk, adapter }: Pass): void {
    this.#planned = []
    this.#backend.batch.count = 0
    this.#backend.useAdapter(adapter)
    this.#adapter = adapter
    for (const sequence of sequences) {
      if (!sequence.started || !this.#running.includes(sequence)) continue
      this.#fill(sequence, Math.min(chunk, sequence.remaining))
    }
  }

  #fill(sequence: Sequence, chunk: number): void {
    const { batch } = this.#backend
    const first = batch.count
    const wantsAll = sequence.needsAllLogits
    for (let at = 0; at < chunk; at += 1) {
      const position = sequence.computed + at
      batch.token[first + at] = sequence.tokens[position] as number
      batch.position[first + at] = position
      batch.stream[first + at] = sequence.stream
      batch.output[first + at] = wantsAll ? 1 : 0
    }
    const completes = chunk === sequence.remaining
    if (completes) batch.output[first + chunk - 1] = 1
    batch.count += chunk
    this.#planned.push({ sequence, chunk, firstRow: first, sampleRow: completes ? first + chunk - 1 : -1 })
  }

  // ── decode ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Computes the pass. Without free cells: evicts what ended sequences left, then preempts the newest, and tries again. */
  #decode(pass: Pass): void {
    for (;;) {
      this.#load(pass)
      const { count } = this.#backend.batch
      if (count === 0) return
      const beganAtMs = this.#clock.now()
      if (this.#backend.decode(pass.chunk === 1) === 'computed') {
        const tookMs = this.#clock.now() - beganAtMs
        if (pass.chunk === 1) this.#model.observe(count, 0, tookMs)
        else this.#model.observe(0, count, tookMs)
        return
      }
      if (!this.#cache.evict()) this.#preemptNewest()
    }
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

  #sample(): void {
    for (const plan of this.#planned) {
      const { sequence } = plan
      if (sequence.needsAllLogits) this.#collectPromptLogprobs(plan)
      sequence.computed += plan.chunk
      if (plan.sampleRow < 0) continue
      if (!sequence.group.prefilled) this.#announcePrefill(sequence)
      if (!this.#groups.has(sequence.group.job.key)) continue
      // Who scores a prompt wants no token after it.
      if (sequence.group.job.maxTokens === 0) {
        this.#flush(sequence, 'length')
        continue
      }
      const token = this.#draw(sequence, plan.sampleRow)
      if (token !== undefined) this.#emit(sequence, token, plan.sampleRow)
    }
  }

  /** The next token; undefined where the request's grammar failed, and the request with it. */
  #draw(sequence: Sequence, row: number): number | undefined {
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

  #collectPromptLogprobs({ sequence, chunk, firstRow }: Planned): void {
    const { job, promptLogprobs, promptTokens } = sequence.group
    for (let at = 0; at < chunk; at += 1) {
      const next = sequence.computed + at + 1
      if (next >= promptTokens || promptLogprobs?.length !== next - 1) continue
      promptLogprobs.push(this.#logprobsOf(firstRow + at, sequence.tokens[next] as number, job.promptLogprobs ?? 0))
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

  #logprobsOf(row: number, token: number, top: number): RowLogprobs {
    return logprobsOfRow(this.#backend.logits(row), token, top, (id) => this.#vocabulary.piece(id, true))
  }

  // ── emit ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #emit(sequence: Sequence, token: number, row: number): void {
    const { job } = sequence.group
    sequence.append(token)
    if (sequence.generated === establishedTokens) sequence.arrivalsWhenEstablished = this.#arrivals
    sequence.heldTokens += 1
    if (sequence.mayStop && job.stopTokens.includes(token)) return this.#flush(sequence, 'stop', token)
    const ends = this.#vocabulary.isEndOfGeneration(token)
    if (ends && !job.ignoreEos) return this.#flush(sequence, 'stop')
    if (!ends) {
      const piece = this.#vocabulary.piece(token, job.shownTokens.has(token))
      // Log-probabilities are those of the text: tokens that are not shown are none of it.
      if (job.logprobs !== undefined && piece.length > 0) {
        sequence.heldLogprobs.push(this.#logprobsOf(row, token, job.logprobs))
      }
      const { text, stop } = sequence.matcher.push(sequence.decoder.decode(piece, { stream: true }), sequence.mayStop)
      this.#tell(sequence, text)
      if (stop !== undefined) return this.#finish(sequence, 'stop', stop)
    }
    const full = sequence.length >= this.#backend.shape.sequenceCells
    if (full || sequence.generated >= (job.maxTokens ?? Infinity)) this.#flush(sequence, 'length')
  }

  /** Ends a sequence after letting out what was held back: half characters, and what might have become a stop text. */
  #flush(sequence: Sequence, reason: 'stop' | 'length', stopToken?: number): void {
    const { matcher, mayStop } = sequence
    const last = matcher.push(sequence.decoder.decode(), mayStop)
    const rest = last.stop === undefined ? matcher.flush(mayStop) : { text: '', stop: last.stop }
    const { stop } = rest
    this.#tell(sequence, last.text + rest.text)
    this.#finish(sequence, stop === undefined ? reason : 'stop', stop ?? stopToken)
  }

  #tell(sequence: Sequence, text: string): void {
    if (text.length === 0) return
    this.#events.push(this.#output(sequence, text))
  }

  #output(sequence: Sequence, text: string): LoopEvent {
    const { heldTokens: tokens, heldLogprobs: logprobs, group, index } = sequence
    sequence.heldTokens = 0
    sequence.heldLogprobs = []
    const wanted = group.job.logprobs === undefined ? undefined : logprobs
    return { type: 'output', key: group.job.key, index, text, tokens, logprobs: wanted }
  }

  #finish(sequence: Sequence, reason: 'stop' | 'length', stopReason: string | number | undefined): void {
    const { group, index } = sequence
    if (!group.prefilled) this.#announcePrefill(sequence)
    // Tokens without text of their own (an end-of-generation token, a swallowed stop text) are still counted.
    if (sequence.heldTokens > 0) this.#events.push(this.#output(sequence, ''))
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

/** One batch: so many tokens of each of its sequences, in the order of their streams. All are of one adapter. */
interface Pass {
  readonly sequences: readonly Sequence[]
  readonly chunk: number
  readonly adapter: number
}

interface Planned {
  readonly sequence: Sequence
  readonly chunk: number
  readonly firstRow: number
  /** Row to draw the next token from; −1 while the target is not reached. */
  readonly sampleRow: number
}

/** Tokens after which a reader would notice a pause. Requests of one burst do not all arrive before its first token. */
const establishedTokens = 8

/** A row of logits per prompt token is wanted: few at a time, for they are vocabulary × 4 bytes each. */
function longestChunk(sequence: Sequence): number {
  return sequence.needsAllLogits ? 64 : Infinity
}
