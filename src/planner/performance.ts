import { decodeWork, prefillWork, type DeploymentFacts, type StepWork } from './roofline.ts'

/**
 * What separates an engine from a perfect one: few positive numbers, each with a meaning. The calibration fits
 * them per engine and GPU generation; 1 stands for "at the hardware's peak" where a coefficient multiplies work.
 */
export interface Coefficients {
  /** Host and launch time of one step, ms. */
  readonly step: number
  /** Launch and drain of one kernel, ms. */
  readonly kernel: number
  /** What one mixture-of-experts layer takes beyond its kernels: waits for the fullest expert, ms. */
  readonly moeLayer: number
  /** Latency of one collective among the GPUs of a stage, ms. */
  readonly collective: number
  /** Time over peak of reading dense weights, routed experts and cache. */
  readonly denseRead: number
  readonly routedRead: number
  readonly cacheRead: number
  /** Time over peak of a decode step's arithmetic. */
  readonly compute: number
  /** Host work per running sequence and step, ms. */
  readonly sequence: number
  /** Time over peak of collective bytes. */
  readonly transfer: number
  /** Time over peak of prefill arithmetic: linear layers, routed experts, attention. */
  readonly prefillDense: number
  readonly prefillRouted: number
  readonly prefillAttention: number
  /** Time over plain of routed experts whose weights are expanded to BF16 on the way. */
  readonly expand: number
  /** Launching a prompt's kernels, which no graph holds, ms per thousand kernels. */
  readonly prefillFixed: number
  /** Share of a prompt's prefill that the other sequences' decoding waits for. */
  readonly interference: number
  /** Time to first token outside prefill and queue: HTTP, tokenizer, first step, ms. */
  readonly firstToken: number
  /** Waiting behind other prompts, in prefills of one prompt at two requests in flight. */
  readonly queue: number
  /** How that grows: (concurrency − 1) to this power. */
  readonly queuePower: number
}

export type CoefficientName = keyof Coefficients

export const coefficientNames = [
  'step',
  'kernel',
  'moeLayer',
  'collective',
  'denseRead',
  'routedRead',
  'cacheRead',
  'compute',
  'sequence',
  'transfer',
  'prefillDense',
  'prefillRouted',
  'prefillAttention',
  'expand',
  'prefillFixed',
  'interference',
  'firstToken',
  'queue',
  'queuePower',
] as const satisfies readonly CoefficientName[]

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
 * Sharpness of the knee between memory-bound and compute-bound: (read^p + compute^p)^(1/p), ms. The roofline's
 * maximum (Williams, Waterman and Patterson, 2009) is its limit for large p; kernels near the ridge reach neither peak.
 */
const knee = 3

/**
 * A step's time from its work: overlapping reads and arithmetic, then cache, launches, links and host. Coefficients
 * below 1 stand for overlap that the sum does not show; the whole never beats the hardware's peak.
 */
export function stepMs(facts: DeploymentFacts, work: StepWork, batch: number, c: Coefficients): number {
  return Math.max(peakMs(work), summedStepMs(facts, work, batch, c))
}

/** The same without that floor, for the fit: a floor has no slope, so rows that reach it would teach nothing. */
export function summedStepMs(facts: DeploymentFacts, work: StepWork, batch: number, c: Coefficients): number {
  const { readMs: read, computeMs: compute } = linearTimes(facts, work, c)
  const linear = (read ** knee + compute ** knee) ** (1 / knee)
  const attention = Math.max(c.cacheRead * work.cacheReadMs, work.attentionComputeMs)
  return linear + attention + launchMs(facts, c) + overheadMs(facts, work, batch, c)
}

/** The least that a step can take: all its reads at full bandwidth, or all its arithmetic at full rate, ms. */
export function peakMs(work: StepWork): number {
  const compute = work.denseComputeMs + work.routedComputeMs + work.attentionComputeMs
  return Math.max(work.denseReadMs + work.routedReadMs + work.cacheReadMs, compute)
}

/** Reads and arithmetic of a decode step's linear layers, before they overlap. */
export function linearTimes(
  facts: DeploymentFacts,
  work: StepWork,
  c: Coefficients,
): { readonly readMs: number; readonly computeMs: number } {
  const expand = expansion(facts, c)
  return {
    readMs: c.denseRead * work.denseReadMs + expand * c.routedRead * work.routedReadMs,
    computeMs: c.compute * (work.denseComputeMs + expand * work.routedComputeMs),
  }
}

/** What expanding narrow experts to BF16 costs, as a factor; 1 where nothing is expanded. */
export function expansion(facts: DeploymentFacts, c: Coefficients): number {
  return facts.deployment.precision.weightOnly ? c.expand : 1
}

/** Kernels of one step, were there nothing in them. */
export function launchMs(facts: DeploymentFacts, c: Coefficients): number {
  return c.kernel * facts.kernels + c.moeLayer * facts.moeLayers
}

/** Time of a step that hides behind nothing: links and host. */
export function overheadMs(facts: DeploymentFacts, work: StepWork, batch: number, c: Coefficients): number {
  return (
    c.step + c.collective * work.collectives + c.transfer * work.transferMs + (c.sequence * batch) / facts.deployment.dp
  )
}

/** A prompt's prefill alone on the replica: its work and the launches around it. */
export function prefillMs(facts: DeploymentFacts, work: StepWork, c: Coefficients): number {
  return prefillWorkMs(facts, work, c) + (c.prefillFixed * facts.kernels) / 1000
}

/** The work alone: what a prompt adds to steps whose kernels are launched anyway. */
export function prefillWorkMs(facts: DeploymentFacts, work: StepWork, c: Coefficients): number {
  const expand = expansion(facts, c)
  const compute =
    c.prefillDense * work.denseComputeMs +
    expand * c.prefillRouted * work.routedComputeMs +
    c.prefillAttention * work.attentionComputeMs
  const read = c.denseRead * work.denseReadMs + expand * c.routedRead * work.routedReadMs
  return (compute ** knee + read ** knee) ** (1 / knee) + c.transfer * work.transferMs
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
  c: Coefficients,
  alone: StepWork = prefillWork(facts, load.inputTokens, load.cachedTokens),
  stepOf: typeof stepMs = stepMs,
): Performance {
  const { outputTokens, concurrency, tokensPerStep } = load
  const running = Math.min(concurrency, Math.max(1, capacity))
  const prefill = prefillMs(facts, alone, c)
  const added = prefillWorkMs(facts, alone, c)
  const others = c.interference * (running - 1) * added
  const gaps = (outputTokens - 1) / tokensPerStep
  const steps = Math.max(1, gaps)
  const context = load.inputTokens + outputTokens / 2
  let decoding = running
  let step = 0
  let interval = 0
  for (let round = 0; round < 3; round += 1) {
    step = stepOf(facts, decodeWork(facts, decoding, context), decoding, c)
    interval = step + (gaps > 0 ? others / steps : 0)
    decoding = Math.max(1, (running * interval * steps) / (interval * steps + prefill))
  }
  const queueMs = Math.max(c.queue * prefill * (running - 1) ** c.queuePower, gaps > 0 ? 0 : others)
  const decodeMs = gaps > 0 ? interval * steps : step + prefill + others
  const cacheWaitMs = ((concurrency - running) / running) * (decodeMs + (gaps > 0 ? prefill : 0))
  return {
    ttftMs: c.firstToken + prefill * facts.deployment.pp + step + queueMs + cacheWaitMs,
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
