export { parseDistribution, sampleLength, type Distribution } from './distribution.ts'
export { deriveSeed, sampleExponential, sampleGamma, sampleNormal } from './sampling.ts'
export { words } from './words.ts'
