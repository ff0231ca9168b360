import path from 'node:path'
import { TokenmillError } from '../core/index.ts'
import type { GgufMetadata } from './gguf-metadata.ts'
import { readGgufHeader, type GgufFileHeader, type GgufTensorEntry } from './gguf-reader.ts'

/**
 * Looks at a LoRA adapter's header beside its model's, before anything is loaded: for each weight W that it changes it
 * has a pair A and B of rank r with W' = W + scale · α/r · B·A.
 *
 *   W  [in, out]      A  [in, r]      B  [r, out]      in ggml's order, the contiguous length first
 *
 * (llama.cpp's src/llama-adapter.cpp; of the embedding matrix A and B are the other way round.) Throws `startup` naming
 * both files and what does not fit: loaded over another model, an adapter would be a crash, or nonsense.
 */
export function checkLoraAdapter(adapterPath: string, base: GgufMetadata): void {
  const header = readGgufHeader(adapterPath)
  const fault = faultOf(header, base)
  if (fault === undefined) return
  throw new TokenmillError(
    'startup',
    `'${adapterPath}' is no LoRA adapter for '${path.basename(base.header.path)}': ${fault}. ` +
      'Give the model that it was trained on, or an adapter of this one (convert_lora_to_gguf.py of llama.cpp writes them).',
  )
}

function faultOf({ metadata, tensors }: GgufFileHeader, base: GgufMetadata): string | undefined {
  const [type, kind] = [metadata.get('general.type'), metadata.get('adapter.type')]
  if (type !== 'adapter') return `its general.type is ${JSON.stringify(type ?? 'missing')}, not "adapter"`
  if (kind !== 'lora') return `its adapter.type is ${JSON.stringify(kind ?? 'missing')}, not "lora"`
  if (metadata.has('adapter.alora.invocation_tokens')) {
    return 'it is an activated LoRA, which begins to act at certain tokens; those are not supported'
  }
  const architecture = metadata.get('general.architecture')
  if (architecture !== base.architecture) {
    return `it is made for the architecture ${JSON.stringify(architecture ?? 'missing')}; the model is ${JSON.stringify(base.architecture)}`
  }
  if (typeof metadata.get('adapter.lora.alpha') !== 'number') return 'adapter.lora.alpha is missing'
  const weights = new Map(base.header.tensors.map((tensor) => [tensor.name, tensor]))
  const halves = new Map(tensors.map((tensor) => [tensor.name, tensor]))
  let pairs = 0
  for (const { name } of tensors) {
    const weight = name.replace(/\.lora_[ab]$/, '')
    // libllama leaves adapters of norms aside.
    if (weight === name && name.endsWith('_norm.weight')) continue
    if (weight === name) return `its tensor ${name} is neither .lora_a nor .lora_b`
    const wrong = pairFault(weight, halves.get(`${weight}.lora_a`), halves.get(`${weight}.lora_b`), weights, base)
    if (wrong !== undefined) return wrong
    pairs += 1
  }
  return pairs === 0 ? 'it changes no weight' : undefined
}

function pairFault(
  name: string,
  a: GgufTensorEntry | undefined,
  b: GgufTensorEntry | undefined,
  weights: ReadonlyMap<string, GgufTensorEntry>,
  base: GgufMetadata,
): string | undefined {
  if (a === undefined || b === undefined) return `of the pair for ${name} one is missing`
  const weight = weights.get(name)
  // Of a model in several files, only the first one's header is at hand.
  if (weight === undefined) return base.shard.count > 1 ? undefined : `the model has no tensor ${name}`
  const [inputs, outputs, rankA, rankB] =
    name === 'token_embd.weight'
      ? [b.shape[1], a.shape[1], a.shape[0], b.shape[0]]
      : [a.shape[0], b.shape[1], a.shape[1], b.shape[0]]
  if (rankA !== rankB) return `for ${name} its ranks are ${rankA} and ${rankB}`
  const [ownInputs, ownOutputs, ...others] = weight.shape
  const fits =
    inputs === ownInputs &&
    outputs === (ownOutputs ?? 1) &&
    [a, b].every(({ shape }) => shape.slice(2).join() === others.join())
  if (fits) return undefined
  return `it changes a ${name} of ${inputs} × ${outputs}; the model's is ${weight.shape.join(' × ')}`
}
