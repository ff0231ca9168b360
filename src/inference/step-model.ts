/** What an engine computes in one step, over all sequences of its batch. */
export interface StepBatch {
  /** Sequences that get one more token. */
  readonly decodeSequences: number
  /** Tokens that those attend over: their prompts and what they have generated. */
  readonly contextTokens: number
  /** Prompt tokens computed in the step. */
  readonly prefillTokens: number
  /** Pairs of tokens that prefill attends over: Σ chunk · (tokens before the chunk + chunk/2), over the prompts in the step. */
  readonly prefillPairs: number
}

/**
 * How long does a step take, and what does it cost? Learnt while running (the embedded engine), stated as a formula (simulation), or
 * computed from hardware and model (the planner).
 */
export interface StepModel {
  /** Milliseconds of the step. */
  stepMs(batch: StepBatch): number
  /** Joules of all its GPUs. Absent where unknown. */
  stepJoules?(batch: StepBatch): number
}
