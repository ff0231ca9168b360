import type { TritonDialect } from '../dialect.ts'
import type { TritonModel } from '../transport.ts'
import { ensemble } from './ensemble.ts'
import { llmApi } from './llm-api.ts'
import { vllm } from './vllm.ts'

/** The dialect that a model speaks; undefined for a model that generates no text. */
export function tritonDialectOf(model: TritonModel): TritonDialect | undefined {
  return [vllm, llmApi, ensemble].find((dialect) => model.outputs.has('text_output') && dialect.matches(model))
}
