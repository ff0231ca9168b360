export type { Calibration, Spread } from './timing/calibration.ts'
export { deploy, type Deployment, type Parallelism } from './work/deployment.ts'
export { describeDeployment, describeParallelism, describePrediction } from './timing/describe.ts'
export { resolveEngine, type EngineProfile } from './work/engine-profiles.ts'
export { explain, oneStreamBandwidth, type Explanation } from './timing/explain.ts'
export { fitMemory, type MemoryFit } from './work/memory-fit.ts'
export { resolveHardware, type Hardware, type PriceTier } from './work/hardware.ts'
export { assessMemory } from './work/memory.ts'
export { overrideHardware } from './work/overrides.ts'
export { planReport } from './report/plan-report.ts'
export { riskText } from './report/words.ts'
export { predict, type Estimated, type LoadRequest, type Prediction } from './timing/predict.ts'
export { examplePredictionTable, predictTable, toPredictionCsv, type RowResult } from './predict-table.ts'
export { numberFormats, resolveFormat, type NumberFormat } from './work/precision.ts'
export {
  comparePrecisions,
  compareSparsity,
  tensorParallelFor,
  type PrecisionComparison,
  type PrecisionQuestion,
  type SparsityComparison,
} from './search/precision-comparison.ts'
export { recommend } from './search/recommend.ts'
export type { Choice, Demand, Recommendation } from './search/choice.ts'
export { foldChoices, type FoldedChoice } from './search/fold.ts'
export { causeNames, groupRejections } from './search/rejections.ts'
export { factsOf } from './work/deployment-facts.ts'
export { plannedStepModel } from './timing/step-model.ts'
