import type { FirstBytes } from './first-bytes.ts'
import type { LlamaModel } from './llama-model.ts'
import type { LlamaVocabulary } from './llama-vocabulary.ts'
import type { RowSampler } from './row-sampler.ts'

/** Where samplers draw: a model's context and its rows of logits. */
export interface SamplerPlace {
  readonly model: LlamaModel
  readonly vocabulary: LlamaVocabulary
  readonly firstBytes: FirstBytes
  /** Most tokens of one sequence: how far back penalties look. */
  readonly sequenceCells: number
  /** Where a request sets no top_k, only this many most likely tokens are candidates; 0: all. */
  readonly candidates: number
  /** For requests that take the logits as they are. */
  readonly rowSampler: RowSampler
  logits(row: number): Float32Array
}
