export type { Calibration, Spread } from './calibration.ts'
export { deploy, type Parallelism } from './deployment.ts'
export { describeDeployment, describeParallelism, describePrediction } from './describe.ts'
export { resolveEngine, type EngineName } from './engines.ts'
export { explain, oneStreamBandwidth, type Explanation } from './explain.ts'
export { fitMemory, type MemoryFit } from './fit-memory.ts'
export { resolveHardware, type Hardware, type PriceTier } from './hardware.ts'
export { assessMemory } from './memory.ts'
export { overrideHardware } from './overrides.ts'
export { planReport } from './plan-report.ts'
export { predict, type Estimated, type LoadRequest, type Prediction } from './predict.ts'
export { predictTable, toPredictionCsv, type RowResult } from './predict-table.ts'
export { numberFormats, resolveFormat, type NumberFormat } from './precision.ts'
export {
  comparePrecisions,
  compareSparsity,
  tensorParallelFor,
  type PrecisionComparison,
  type PrecisionQuestion,
  type SparsityComparison,
} from './precision-comparison.ts'
export { recommend, type Choice, type Demand, type Recommendation } from './recommend.ts'
export { factsOf, type Deployment, type DeploymentFacts } from './roofline.ts'
export { plannedStepModel } from './step-model.ts'
