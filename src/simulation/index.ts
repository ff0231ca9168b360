export { linearStepModel, type LinearStepTimes } from './linear-step-model.ts'
export { SimulatedEngine, type SimulatedEngineSettings } from './simulated-engine.ts'
