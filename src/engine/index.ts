export { describeMachine, type EngineMachine } from './parent/machine.ts'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Engine } from '../inference/index.ts'
import { readCpuQuota } from './parent/cpu-quota.ts'
import { EmbeddedEngine } from './parent/embedded-engine.ts'
import type { NamedAdapter } from './parent/engine-config.ts'
import { findPackFolder } from './parent/llama-packs.ts'
import type { EngineOptionValues } from './options.ts'

export { engineOptions, type EngineOptionValues } from './options.ts'
export type { NamedAdapter } from './parent/engine-config.ts'

/** A model to serve from a file on this machine. */
export interface EmbeddedModel {
  /** Path of a GGUF file; the first one of a split model. */
  readonly path: string
  /** The name under which requests ask for it. */
  readonly name: string
  /** LoRA adapters (GGUF), each a model of its own to clients; all share the model's weights, slots and KV cells. */
  readonly adapters?: readonly NamedAdapter[]
  /** How many engines live on this machine: they share its cores. 1 unless said otherwise. */
  readonly engines?: number
}

/**
 * An engine for one model, in a child process of its own. The file's header is checked at once; the process starts
 * with the first `ready` or `generate`. Throws `startup` for a missing or damaged file, or without libraries for this platform.
 */
export function createEmbeddedEngine(model: EmbeddedModel, options: EngineOptionValues): Engine {
  return new EmbeddedEngine({
    modelPath: path.resolve(model.path),
    modelName: model.name,
    adapters: (model.adapters ?? []).map(({ name, path: file, scale }) => ({ name, path: path.resolve(file), scale })),
    options,
    libraryFolder: findPackFolder(path.dirname(fileURLToPath(import.meta.url))),
    cores: Math.max(1, Math.floor(readCpuQuota() / (model.engines ?? 1))),
  })
}
