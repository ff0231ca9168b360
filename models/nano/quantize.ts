import { readdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import koffi from 'koffi'

/**
 * Writes a GGUF file in another precision through libllama's own quantizer.
 *
 *   node models/nano/quantize.ts --type q4_0 --in nano-f16.gguf --out nano-q4_0.gguf
 */
const { values } = parseArgs({
  options: { type: { type: 'string' }, in: { type: 'string' }, out: { type: 'string' } },
})

/**
 * `llama_ftype` and `ggml_type` of llama.cpp v0.5.0 (include/llama.h, ggml/include/ggml.h). The token matrix, which is
 * the output matrix too, keeps eight bits in the four-bit files, as llama.cpp itself would have it.
 */
const precisions: Readonly<Record<string, { readonly file: number; readonly embedding: number }>> = {
  f16: { file: 1, embedding: 1 },
  q8_0: { file: 7, embedding: 8 },
  q4_0: { file: 2, embedding: 8 },
  mxfp4: { file: 38, embedding: 8 },
  nvfp4: { file: 39, embedding: 8 },
}

/** `llama_model_quantize_params` of llama.cpp v0.5.0. */
const Parameters = koffi.struct('llama_model_quantize_params', {
  nthread: 'int32_t',
  ftype: 'int32_t',
  output_tensor_type: 'int32_t',
  token_embedding_type: 'int32_t',
  allow_requantize: 'bool',
  quantize_output_tensor: 'bool',
  only_copy: 'bool',
  pure: 'bool',
  keep_split: 'bool',
  dry_run: 'bool',
  imatrix: 'void *',
  kv_overrides: 'void *',
  tt_overrides: 'void *',
  prune_layers: 'void *',
  max_buf_size: 'size_t',
})

const precision = precisions[values.type ?? '']
if (precision === undefined || values.in === undefined || values.out === undefined) {
  throw new TypeError(`Say --type (${Object.keys(precisions).join(', ')}), --in <file> and --out <file>.`)
}

const library = koffi.load(libraryPath())
library.func('void llama_backend_init(void)')()
const defaults = library.func('llama_model_quantize_default_params', Parameters, [])() as Record<string, unknown>
// Reads back only where the structure above is the library's.
if (defaults['quantize_output_tensor'] !== true || defaults['only_copy'] !== false) {
  throw new TypeError('llama_model_quantize_params is laid out differently in this libllama.')
}
const quantize = library.func('llama_model_quantize', 'uint32_t', ['str', 'str', koffi.pointer(Parameters)])
const status = quantize(values.in, values.out, {
  ...defaults,
  nthread: 1,
  ftype: precision.file,
  token_embedding_type: precision.embedding,
  output_tensor_type: precision.embedding,
  // Every matrix in the named type: without it a mixture file (MXFP4) leaves a dense model in eight bits.
  pure: true,
}) as number
if (status !== 0) throw new Error(`libllama could not quantize ${values.in}: status ${status}.`)

/** libllama of the installed pack for this platform. */
function libraryPath(): string {
  const platform = { linux: 'linux', darwin: 'mac', win32: 'win' }[process.platform as string] ?? process.platform
  const pack = `@node-llama-cpp/${platform}-${process.arch}${platform === 'mac' && process.arch === 'arm64' ? '-metal' : ''}`
  const bins = fileURLToPath(new URL(`../../node_modules/${pack}/bins`, import.meta.url))
  for (const variant of readdirSync(bins)) {
    const folder = path.join(bins, variant)
    const file = variant.startsWith('_')
      ? undefined
      : readdirSync(folder).find((name) => /^(lib)?llama\.v.*(so|dylib|dll)$/.test(name))
    if (file !== undefined) return path.join(folder, file)
  }
  throw new TypeError(`${pack} holds no libllama.`)
}
