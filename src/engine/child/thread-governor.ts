/**
 * How many threads should decode, when others want the cores too?
 *
 * Threads of libllama meet at a barrier after each operation and wait there by spinning. With a neighbour on one of their
 * cores, every barrier waits for the neighbour's time slice: a step of 3.5 ms on two threads took 60 to 280 ms, while one
 * thread alone took 5. So the number in use moves on a ladder: all, one less, three quarters, half, a quarter, one.
 *
 * A *slowdown* is the time of a step over the usual time of steps with as many sequences. A short trial of the next rung is
 * due when steps become slow, and now and then without a reason, rarer each time in vain. The trial's rung is kept where
 * its mean slowdown is clearly the smaller one; a trial ends with its first step that is slower than before.
 */
export class ThreadGovernor {
  readonly #ladder: readonly number[]
  #rung = 0
  #trial: Trial | undefined
  /** Milliseconds of a step by its number of sequences: at most one entry for each slot. */
  readonly #usualMs = new Map<number, number>()
  /** Mean slowdown on the present rung, over some ten steps. */
  #slowdown = 1
  #wasSlow = false
  #pauseMs = shortestPauseMs
  #nextTrialAtMs = 0

  /** `most`: threads where nothing disturbs, at least 1. */
  constructor(most: number) {
    const rungs = [most, most - 1, Math.ceil(0.75 * most), Math.ceil(most / 2), Math.ceil(most / 4), 1]
    this.#ladder = [...new Set(rungs.filter((rung) => rung >= 1))].sort((one, other) => other - one)
  }

  /** Threads for the next step that computes one token of each sequence. */
  get threads(): number {
    return this.#ladder[this.#trial?.rung ?? this.#rung] ?? 1
  }

  /** Threads for prompts: a trial's would slow down seconds of work that teach nothing. */
  get settledThreads(): number {
    return this.#ladder[this.#rung] ?? 1
  }

  /**
   * A step on `threads` that computed one token of each of `sequences` took `ms`. `alone`: no prompt was computed just
   * before; beside prompts, steps are long enough without a trial that has no reason.
   */
  observe(sequences: number, ms: number, nowMs: number, alone = true): void {
    if (this.#ladder.length === 1) return
    const usualMs = this.#usualMs.get(sequences)
    if (usualMs === undefined) {
      if (this.#trial !== undefined) return
      if (this.#usualMs.size === 0) this.#rest(nowMs, shortestPauseMs)
      this.#usualMs.set(sequences, ms)
      return
    }
    const slowdown = Math.min(ms / usualMs, worst)
    if (this.#trial !== undefined) {
      this.#judge(this.#trial, slowdown, nowMs)
      return
    }
    // What is usual follows slowly, and surprises only a little.
    this.#usualMs.set(sequences, usualMs * (1 + usualWeight * Math.min(slowdown - 1, 1)))
    this.#slowdown += recentWeight * (slowdown - this.#slowdown)
    const isSlow = this.#slowdown > slow
    const turnedSlow = isSlow && !this.#wasSlow
    this.#wasSlow = isSlow
    if (turnedSlow || (nowMs >= this.#nextTrialAtMs && (alone || isSlow))) this.#try(isSlow)
  }

  /** Slow steps ask for fewer threads; otherwise more are tried, where there are more. */
  #try(isSlow: boolean): void {
    const down = this.#rung === 0 || (isSlow && this.#rung < this.#ladder.length - 1)
    this.#trial = { rung: this.#rung + (down ? 1 : -1), steps: 0, sum: 0 }
  }

  #judge(trial: Trial, slowdown: number, nowMs: number): void {
    trial.steps += 1
    trial.sum += slowdown
    const hopeless = slowdown > this.#slowdown
    if (trial.steps < trialSteps && !hopeless) return
    this.#trial = undefined
    const mean = trial.sum / trial.steps
    const adopted = !hopeless && mean < clearly * this.#slowdown
    if (adopted) {
      this.#rung = trial.rung
      this.#slowdown = mean
    }
    this.#rest(nowMs, adopted ? shortestPauseMs : Math.min(longestPauseMs, 2 * this.#pauseMs))
  }

  #rest(nowMs: number, pauseMs: number): void {
    this.#pauseMs = pauseMs
    this.#nextTrialAtMs = nowMs + pauseMs
  }
}

interface Trial {
  readonly rung: number
  steps: number
  /** Of slowdowns. */
  sum: number
}

const trialSteps = 3
/** One stall, however long, must not outweigh the ten steps around it. */
const worst = 4
/** Mean slowdown that asks for a trial at once. */
const slow = 1.5
/** A trial's rung must be this much faster: steps vary by some percent by themselves. */
const clearly = 0.85
const recentWeight = 0.1
const usualWeight = 0.05
const shortestPauseMs = 250
/** A trial upwards in vain costs one step of up to 0.3 s: not more than a twentieth of the time. */
const longestPauseMs = 6000
