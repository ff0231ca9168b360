export { f16, f32, q4_0, q8_0, type GgufTensorFormat } from './gguf-blocks.ts'
export type { GgufContent, GgufScalar, GgufScalarType, GgufTensor, GgufValue } from './gguf-header.ts'
export { writeGguf } from './gguf-writer.ts'
export { randomModelShapes, writeRandomModel, type RandomModelOptions, type RandomModelShape } from './random-model.ts'
