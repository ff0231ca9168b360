export {
  arrivalTimesMs,
  levelAt,
  nextTimeAtLevel,
  parseStage,
  stagesDurationMs,
  type ArrivalProcess,
  type Stage,
} from './arrivals.ts'
export { parseDistribution, sampleLength, type Distribution } from './distribution.ts'
export { LogHistogram, type HistogramData } from './histogram.ts'
export { workloadOptions } from './options.ts'
export { PromptText, type WordTokens } from './prompt-text.ts'
export { deriveSeed, sampleNormal } from './sampling.ts'
export { bootstrapInterval, meanOf, quantileOf, trendOf, wilsonInterval } from './statistics.ts'
export { ditherTrace, parseTrace } from './trace.ts'
export type { TraceMessage, TraceRequest } from './trace-request.ts'
export { words } from './words.ts'
