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
