import type { Coefficients } from './coefficients.ts'
import { prefillMs, prefillWorkMs, stepMs } from './step-time.ts'
import type { DeploymentFacts } from '../work/deployment-facts.ts'
import { decodeWork, prefillWork, type StepWork } from '../work/step-work.ts'

/** A closed loop: `concurrency` clients, each sending its next prompt when the last answer is complete. */
export interface Load {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly concurrency: number
  /** Prompt tokens already in the cache. */
  readonly cachedTokens: number
  /** Tokens that one step yields per sequence; 1 without speculation. An input, never a guess. */
  readonly tokensPerStep: number
}

export interface Performance {
  readonly ttftMs: number
  readonly tpotMs: number
  /** One decode step, ms. */
  readonly stepMs: number
  /** One prompt's prefill, alone, ms. */
  readonly prefillMs: number
  /** Requests that run at once; the others wait for cache. */
  readonly running: number
  /** Of those, decoding at a time. */
  readonly decoding: number
  /** Wait for a place in the cache, ms; part of ttftMs. */
  readonly cacheWaitMs: number
  /** How long a request keeps its place once it decodes, ms: the gaps between its tokens. */
  readonly decodeMs: number
}

/**
 * Times of a closed loop on one replica. While one request emits its tokens, each of the others is prefilled once,
 * and that work (not its launches: engines mix prompts into steps) stands between its steps; requests beyond the cache's room wait for a place
 * (Little's law: J. Little, 1961). An answer of one token has no gaps for the others' prompts to fall into: they stand
 * before it, and its TPOT is a plain step. All times in ms.
 */
export function performanceOf(
  facts: DeploymentFacts,
  load: Load,
  capacity: number,
  coefficients: Coefficients,
  alone: StepWork = prefillWork(facts, load.inputTokens, load.cachedTokens),
  stepOf: typeof stepMs = stepMs,
): Performance {
  const { outputTokens, concurrency, tokensPerStep } = load
  const running = Math.min(concurrency, Math.max(1, capacity))
  const prefill = prefillMs(facts, alone, coefficients)
  const added = prefillWorkMs(facts, alone, coefficients)
  const others = coefficients.interference * (running - 1) * added
  const gaps = (outputTokens - 1) / tokensPerStep
  const steps = Math.max(1, gaps)
  const context = load.inputTokens + outputTokens / 2
  let decoding = running
  let step = 0
  let interval = 0
  for (let round = 0; round < 3; round += 1) {
    step = stepOf(facts, decodeWork(facts, decoding, context), decoding, coefficients)
    interval = step + (gaps > 0 ? others / steps : 0)
    decoding = Math.max(1, (running * interval * steps) / (interval * steps + prefill))
  }
  const queueMs = Math.max(
    coefficients.queue * prefill * (running - 1) ** coefficients.queuePower,
    gaps > 0 ? 0 : others,
  )
  const decodeMs = gaps > 0 ? interval * steps : step + prefill + others
  const cacheWaitMs = ((concurrency - running) / running) * (decodeMs + (gaps > 0 ? prefill : 0))
  return {
    ttftMs: coefficients.firstToken + prefill * facts.deployment.pp + step + queueMs + cacheWaitMs,
    tpotMs: interval / tokensPerStep,
    stepMs: step,
    prefillMs: prefill,
    running,
    decoding,
    cacheWaitMs,
    decodeMs,
  }
}

/** Output tokens per second of a replica that always has requests waiting: as many as run, in the time of one. */
export function saturatedThroughput({ running, decodeMs }: Performance, outputTokens: number): number {
  return (1000 * running * outputTokens) / decodeMs
}
