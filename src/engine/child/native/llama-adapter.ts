import { TokenmillError } from '../../../core/index.ts'
import type { AdapterSpec } from '../../messages.ts'
import type { Pointer } from './abi.ts'
import { call, type LlamaModel } from './llama-model.ts'

/** A LoRA adapter in memory. libllama frees it with its model. */
export interface LlamaAdapter {
  readonly pointer: Pointer
  /** Factor on what it adds to the weights. */
  readonly scale: number
}

/** Loads adapters for a model. Throws `startup` for one that libllama refuses; the parent has looked at its header before. */
export function loadAdapters(model: LlamaModel, specs: readonly AdapterSpec[]): readonly LlamaAdapter[] {
  return specs.map(({ path, scale }) => {
    const pointer = call(model.library.llama['llama_adapter_lora_init'], model.pointer, path) as Pointer
    if (pointer === null) throw new TokenmillError('startup', `libllama cannot load the adapter '${path}'.`)
    return { pointer, scale }
  })
}

/** Which of a model's adapters a context computes with. A change costs libllama a new plan of its graph, no weights. */
export class AdapterSwitch {
  readonly #model: LlamaModel
  readonly #context: Pointer
  readonly #adapters: readonly LlamaAdapter[]
  #current = 0

  constructor(model: LlamaModel, context: Pointer, adapters: readonly LlamaAdapter[]) {
    this.#model = model
    this.#context = context
    this.#adapters = adapters
  }

  /** From 1; 0: the model as it is. */
  use(adapter: number): void {
    if (adapter === this.#current) return
    const chosen = this.#adapters[adapter - 1]
    if (chosen === undefined && adapter !== 0) throw new RangeError(`There is no adapter ${adapter}.`)
    const pointers = BigUint64Array.from(chosen === undefined ? [] : [chosen.pointer ?? 0n])
    const scales = Float32Array.from(chosen === undefined ? [] : [chosen.scale])
    call(this.#model.library.llama['llama_set_adapters_lora'], this.#context, pointers, BigInt(pointers.length), scales)
    this.#current = adapter
  }
}
