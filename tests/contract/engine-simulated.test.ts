import { linearStepModel, SimulatedEngine } from '../../src/simulation/index.ts'
import { parseDistribution } from '../../src/workload/index.ts'
import { describeEngineContract } from './engine-contract.ts'

const common = { name: 'contract', models: ['sim'], contextTokens: 600 }
const kv = { blockTokens: 16, blocks: 64, cachedBlocks: undefined }
const model = linearStepModel({ baseMs: 0.5, perSequenceMs: 0.05, perPrefillTokenMs: 0.01 })

const stepwise = new SimulatedEngine({
  ...common,
  timing: { kind: 'steps', model, prefillTokensPerStep: 128, maxRunning: 8, kv },
})
describeEngineContract('SimulatedEngine on a step model', () => ({
  engine: stepwise,
  model: 'sim',
  contextTokens: 600,
}))

const [ttftMs, itlMs] = [parseDistribution('fixed:2'), parseDistribution('exponential:0.5')]
const independent = new SimulatedEngine({
  ...common,
  tokensPerEvent: parseDistribution('uniform:1,3'),
  timing: { kind: 'independent', ttftMs, itlMs, maxRunning: 8, blockTokens: 16, cachedBlocks: 64 },
})
describeEngineContract('SimulatedEngine on drawn times', () => ({
  engine: independent,
  model: 'sim',
  contextTokens: 600,
}))
