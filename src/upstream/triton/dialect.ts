import type { FinishReason, GenerationRequest, RequestExtension, TokenLogprobs } from '../../inference/index.ts'
import type { InputTensor, OutputTensors } from './tensors.ts'
import type { TritonModel } from './transport.ts'

/** One continuation, ready to be asked for. */
export interface TritonAsk {
  readonly request: GenerationRequest
  readonly model: TritonModel
  readonly prompt: string
  readonly maxTokens: number
  readonly seed: number
  /** Texts that end it, the chat template's own included. */
  readonly stop: readonly string[]
  /** The texts of special tokens are wanted in the answer: its reader needs them. */
  readonly showSpecialTokens: boolean
}

/** What one response says. Undefined: it does not say. */
export interface TritonPiece {
  /** What is new since the last response. */
  readonly text: string
  readonly tokens: number | undefined
  readonly promptTokens: number | undefined
  readonly finish: FinishReason | undefined
  /** The stop text that ended it, where the server has taken it off the text. */
  readonly stopReason: string | undefined
  readonly logprobs: readonly TokenLogprobs[]
}

/**
 * One way of laying generations out in tensors. The names of a model's inputs tell which one it is; whether inputs
 * have a batch dimension is the model's own setting, never the dialect's.
 */
export interface TritonDialect {
  readonly kind: 'vllm' | 'trtllm-llmapi' | 'trtllm-ensemble'
  matches(model: TritonModel): boolean
  /** Whether the last response says why it is the last: an answer that ends without was cut off. */
  tellsFinish(model: TritonModel): boolean
  /** Which of the fields that few engines know this model takes. */
  extensions(model: TritonModel): readonly RequestExtension[]
  /** Throws `unsupported` for what the model cannot honour. */
  encode(ask: TritonAsk): InputTensor[]
  /** Reads the responses to one continuation, in order. */
  reader(ask: TritonAsk): (outputs: OutputTensors) => TritonPiece
}

/** The first element of an output, as text; undefined without one. */
export function textAt(outputs: OutputTensors, name: string): string | undefined {
  const value = outputs.get(name)?.[0]
  return value === undefined ? undefined : String(value)
}

export function numberAt(outputs: OutputTensors, name: string): number | undefined {
  const value = Number(outputs.get(name)?.[0] ?? Number.NaN)
  return Number.isFinite(value) ? value : undefined
}

/** Python's `str(None)` is what both backends say of a sequence that goes on. */
export function givenAt(outputs: OutputTensors, name: string): string | undefined {
  const value = textAt(outputs, name)
  return value === undefined || value === '' || value === 'None' ? undefined : value
}
