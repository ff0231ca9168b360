import { TokenmillError } from '../../core/index.ts'
import type { GgufMetadata, ModelPurpose } from '../../model/index.ts'
import type { AdapterSpec, LoadSpec } from '../messages.ts'
import type { EngineOptionValues } from '../options.ts'

export interface EmbeddedEngineConfig {
  /** Path of a GGUF file. */
  readonly modelPath: string
  /** The name under which requests ask for it. */
  readonly modelName: string
  /** Adapters of the model, each under a name of its own. */
  readonly adapters: readonly NamedAdapter[]
  readonly options: EngineOptionValues
  /** Folder of libllama's libraries. */
  readonly libraryFolder: string
  /** Cores for this engine: its share of the CPU quota. */
  readonly cores: number
}

/** A LoRA adapter and the name under which requests ask for the model with it. */
export interface NamedAdapter extends AdapterSpec {
  readonly name: string
}

/** Layers and widths beyond these are no model but an attack on libllama, which allocates before it looks. */
const mostLayers = 2048
const widestEmbedding = 1 << 20

/** Throws `startup` for a header that no model of this world has, and for a shard that is not the first. */
export function checkHeader({ header, shape, shard, purpose }: GgufMetadata): void {
  const fault = (text: string) => new TokenmillError('startup', `'${header.path}' cannot be served: ${text}.`)
  if ((shape.layers ?? 0) > mostLayers) throw fault(`it claims ${shape.layers} layers; the limit is ${mostLayers}`)
  if ((shape.embeddingLength ?? 0) > widestEmbedding) {
    throw fault(`it claims an embedding length of ${shape.embeddingLength}; the limit is ${widestEmbedding}`)
  }
  if (purpose === 'adapt') throw fault('it is an adapter; serve its model and give it with --lora name=path')
  if (shard.index !== 1) throw fault(`it is shard ${shard.index} of ${shard.count}; name the first one`)
}

/** What the child is told. */
export function toLoadSpec(config: EmbeddedEngineConfig, purpose: ModelPurpose): LoadSpec {
  const { modelPath, adapters, libraryFolder, cores, options } = config
  const specs = adapters.map(({ path, scale }) => ({ path, scale }))
  return { ...options, modelPath, purpose, adapters: specs, libraryFolder, cores }
}
