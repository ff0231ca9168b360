import koffi from 'koffi'
import { TokenmillError } from '../../../core/index.ts'
import type { Pointer } from './abi.ts'
import type { NativeLibrary } from './library.ts'

/** A loaded model. `pointer` is valid until `free`, which its contexts must not outlive. */
export interface LlamaModel {
  readonly library: NativeLibrary
  readonly pointer: Pointer
  readonly vocabulary: Pointer
  readonly facts: ModelFacts
  free(): void
}

/** What libllama says about the model. */
export interface ModelFacts {
  readonly trainedContext: number
  readonly layers: number
  readonly vocabularySize: number
  readonly parameters: number
  /** Size of all tensors. */
  readonly bytes: number
  /** Values of one token's keys and values over all layers. */
  readonly kvValuesPerToken: number
  /** Tokens of the sliding window; 0 where attention sees everything. */
  readonly slidingWindow: number
  /** Its state cannot be cut at a position: recurrent or hybrid. */
  readonly recurrent: boolean
  readonly embeddingLength: number
}

/**
 * Loads a GGUF file. Throws `startup` naming the file where libllama refuses it or where it cannot generate text.
 * A file that crashes libllama ends the process: the parent reports that.
 */
export function loadModel(
  library: NativeLibrary,
  path: string,
  gpuLayers: number | undefined,
  onProgress: (progress: number) => void,
): LlamaModel {
  const { llama } = library
  const type = koffi.pointer(koffi.proto('bool', ['float', 'void *']))
  const callback = koffi.register((progress: number) => {
    onProgress(progress)
    return true
  }, type)
  const params = call(llama['llama_model_default_params']) as Record<string, unknown>
  const pointer = call(llama['llama_model_load_from_file'], path, {
    ...params,
    ...(gpuLayers === undefined ? {} : { n_gpu_layers: gpuLayers }),
    progress_callback: callback,
  }) as Pointer
  koffi.unregister(callback)
  if (pointer === null) throw new TokenmillError('startup', `libllama cannot load '${path}'.`)
  const vocabulary = call(llama['llama_model_get_vocab'], pointer) as Pointer
  return {
    library,
    pointer,
    vocabulary,
    facts: readFacts(library, pointer, vocabulary, path),
    free: () => call(llama['llama_model_free'], pointer),
  }
}

function readFacts({ llama }: NativeLibrary, model: Pointer, vocabulary: Pointer, path: string): ModelFacts {
  const ask = (name: string) => Number(call(llama[`llama_model_${name}`], model))
  if (ask('has_encoder') === 1 || ask('has_decoder') === 0 || ask('is_diffusion') === 1) {
    throw new TokenmillError('startup', `'${path}' is no decoder-only language model; the engine serves only those.`)
  }
  const headWidth = ask('n_embd') / Math.max(1, ask('n_head'))
  return {
    trainedContext: ask('n_ctx_train'),
    layers: ask('n_layer'),
    vocabularySize: Number(call(llama['llama_vocab_n_tokens'], vocabulary)),
    parameters: ask('n_params'),
    bytes: ask('size'),
    kvValuesPerToken: 2 * ask('n_layer') * headWidth * ask('n_head_kv'),
    slidingWindow: ask('n_swa'),
    recurrent: ask('is_recurrent') === 1 || ask('is_hybrid') === 1,
    embeddingLength: ask('n_embd'),
  }
}

/** The model's own template for pairs of query and document; undefined where it has none. */
export function rankTemplateOf({ library, pointer }: LlamaModel): string | undefined {
  return (call(library.llama['llama_model_chat_template'], pointer, 'rerank') as string | null) ?? undefined
}

/** Calls a function of the ABI table; a name that the table lacks is a broken invariant. */
export function call(native: ((...parameters: unknown[]) => unknown) | undefined, ...parameters: unknown[]): unknown {
  if (native === undefined) throw new Error('A function is called that the ABI table does not declare.')
  return native(...parameters)
}
