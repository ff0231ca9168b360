export { f32, q4_0, type GgufTensorFormat } from './gguf-blocks.ts'
export type { GgufContent, GgufScalar, GgufScalarType, GgufTensor, GgufValue } from './gguf-header.ts'
export { writeGguf } from './gguf-writer.ts'
export { randomModelShapes, writeRandomModel, type RandomModelOptions, type RandomModelShape } from './random-model.ts'
export { openChatSource, readChatSource } from './chat-source.ts'
export { createChatFormat, type ChatFormat, type ChatFormatSource, type RenderedChat } from './chat-format.ts'
export { AnswerEvents } from './answer/answer-events.ts'
export { createOutputParser, type ChatOutputParser } from './answer/output-parser.ts'
export type { ChatPiece } from './answer/piece-writer.ts'
export type { AnswerShape } from './answer/answer-shape.ts'
export { conventionFrom, factsOfConvention, type ConventionFacts } from './convention-facts.ts'
export type { ArgumentSyntax, CallSyntax } from './answer/call-convention.ts'
export { argumentFrame, type TaggedStyle } from './answer/tagged-call.ts'
export { elementMark } from './answer/element-call.ts'
export { readGgufMetadata, type GgufMetadata, type GgufShape, type ModelPurpose } from './gguf-metadata.ts'
export type { GgufFileHeader, GgufMetadataScalar, GgufMetadataValue, GgufTensorEntry } from './gguf-reader.ts'
export { checkLoraAdapter } from './lora-adapter.ts'
export type { HubAccess, HubFile } from './hub/hub-files.ts'
export { shardOf } from './hub/hub-files.ts'
export { fetchHubHeader } from './hub/hub-header.ts'
export { isHubReference, type HubReference } from './hub/hub-reference.ts'
export { ModelStore, type StoredModel } from './hub/model-store.ts'
export { fitModel, precisionOf, type MemoryProfile } from './model-fit.ts'
export { catalog, resolveModel, shapeOf, type CatalogEntry, type ResolvedModel } from './catalog.ts'
export { nearestNames } from './nearest-names.ts'
export { shapeFromConfig } from './shape/from-config.ts'
export { cachedLayers, cacheElementsPerToken, countWeights, stateElements, type WeightCounts } from './shape/weights.ts'
export type {
  CompressedGroup,
  DenseGroup,
  FfnGroup,
  Fp4Scope,
  GqaGroup,
  LinearGroup,
  MambaGroup,
  MixerGroup,
  MlaGroup,
  ModelShape,
  MoeGroup,
} from './shape/model-shape.ts'
