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
export { workloadOptions, type WorkloadOptions } from './options.ts'
export { plainWordTokens, PromptText, type WordTokens } from './prompt-text.ts'
export { deriveSeed, sampleExponential, sampleGamma, sampleNormal } from './sampling.ts'
export {
  bootstrapInterval,
  meanOf,
  quantileOf,
  studentTwoSided,
  trendOf,
  wilsonInterval,
  type Interval,
  type Trend,
} from './statistics.ts'
export { ditherTrace, parseTrace, type TraceLimits, type TraceRequest } from './trace.ts'
export { words } from './words.ts'
