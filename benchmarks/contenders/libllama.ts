import { globSync } from 'node:fs'
import path from 'node:path'
import koffi from 'koffi'

/**
 * The few functions of libllama (llama.cpp's include/llama.h, release v0.5.0) that a bare decode loop needs.
 * Written apart from the engine's own binding, so that a mistake there does not hide in the yardstick too.
 */
const pack = (await import(`@node-llama-cpp/${process.platform}-${process.arch}`)) as {
  getBinsDir(): { binsDir: string }
}
const [folder = ''] = globSync('*/', { cwd: pack.getBinsDir().binsDir }).map((name) =>
  path.join(pack.getBinsDir().binsDir, name),
)
const fileOf = (name: string) => globSync(`lib${name}.{v*.so,so,v*.dylib,dylib}`, { cwd: folder })[0]

function open(name: string) {
  const file = fileOf(name)
  if (file === undefined) throw new Error(`No lib${name} in ${folder}.`)
  return koffi.load(path.join(folder, file), { lazy: false, global: true })
}

koffi.struct('llama_model_params', {
  devices: 'void *',
  tensor_buft_overrides: 'void *',
  n_gpu_layers: 'int32',
  split_mode: 'int32',
  load_mode: 'int32',
  lazy_mode: 'int32',
  main_gpu: 'int32',
  tensor_split: 'void *',
  progress_callback: 'void *',
  progress_callback_user_data: 'void *',
  kv_overrides: 'void *',
  vocab_only: 'bool',
  check_tensors: 'bool',
  use_extra_bufts: 'bool',
  no_host: 'bool',
  no_alloc: 'bool',
  load_mtp: 'bool',
})
koffi.struct('llama_context_params', {
  n_ctx: 'uint32',
  n_batch: 'uint32',
  n_ubatch: 'uint32',
  n_seq_max: 'uint32',
  n_rs_seq: 'uint32',
  n_outputs_max: 'uint32',
  n_outputs_max_per_seq: 'uint32',
  n_threads: 'int32',
  n_threads_batch: 'int32',
  ctx_type: 'int32',
  rope_scaling_type: 'int32',
  pooling_type: 'int32',
  attention_type: 'int32',
  flash_attn_type: 'int32',
  rope_freq_base: 'float',
  rope_freq_scale: 'float',
  yarn_ext_factor: 'float',
  yarn_attn_factor: 'float',
  yarn_beta_fast: 'float',
  yarn_beta_slow: 'float',
  yarn_orig_ctx: 'uint32',
  defrag_thold: 'float',
  cb_eval: 'void *',
  cb_eval_user_data: 'void *',
  type_k: 'int32',
  type_v: 'int32',
  abort_callback: 'void *',
  abort_callback_data: 'void *',
  embeddings: 'bool',
  offload_kqv: 'bool',
  no_perf: 'bool',
  op_offload: 'bool',
  swa_full: 'bool',
  kv_unified: 'bool',
  samplers: 'void *',
  n_samplers: 'size_t',
  ctx_other: 'void *',
})
koffi.struct('llama_batch', {
  n_tokens: 'int32',
  token: 'void *',
  embd: 'void *',
  pos: 'void *',
  n_seq_id: 'void *',
  seq_id: 'void *',
  logits: 'void *',
})
koffi.struct('llama_sampler_chain_params', { no_perf: 'bool' })
koffi.struct('ggml_threadpool_params', {
  cpumask: koffi.array('bool', 512),
  n_threads: 'int',
  prio: 'int32',
  poll: 'uint32',
  strict_cpu: 'bool',
  paused: 'bool',
})

/** Loads the libraries, best CPU backend included, quietly. */
export function loadLibllama() {
  const base = open('ggml-base')
  const ggml = open('ggml')
  const llama = open('llama')
  const quiet = koffi.register(
    () => undefined,
    koffi.pointer(koffi.proto('void log_callback(int, const char *, void *)')),
  )
  llama.func('void llama_log_set(void *, void *)')(quiet, null)
  ggml.func('void ggml_backend_load_all_from_path(const char *)')(folder)
  llama.func('void llama_backend_init()')()
  // The thread pool lives in whichever CPU backend was chosen, and is found through its registry.
  const cpuDeviceType = 0
  const registry: unknown = base.func('void *ggml_backend_dev_backend_reg(void *)')(
    ggml.func('void *ggml_backend_dev_by_type(int)')(cpuDeviceType),
  )
  const newThreadpool: unknown = base.func('void *ggml_backend_reg_get_proc_address(void *, const char *)')(
    registry,
    'ggml_threadpool_new',
  )
  const newThreadpoolType = koffi.proto('void *ggml_threadpool_new(ggml_threadpool_params *)')
  return {
    createThreadpool: (parameters: object): unknown => koffi.call(newThreadpool, newThreadpoolType, parameters),
    defaultThreadpool: base.func('ggml_threadpool_params ggml_threadpool_params_default(int)'),
    modelDefaults: llama.func('llama_model_params llama_model_default_params()'),
    contextDefaults: llama.func('llama_context_params llama_context_default_params()'),
    loadModel: llama.func('void *llama_model_load_from_file(const char *, llama_model_params)'),
    createContext: llama.func('void *llama_init_from_model(void *, llama_context_params)'),
    attachThreadpool: llama.func('void llama_attach_threadpool(void *, void *, void *)'),
    decode: llama.func('int llama_decode(void *, llama_batch)'),
    memory: llama.func('void *llama_get_memory(void *)'),
    clearMemory: llama.func('void llama_memory_clear(void *, bool)'),
    createChain: llama.func('void *llama_sampler_chain_init(llama_sampler_chain_params)'),
    addSampler: llama.func('void llama_sampler_chain_add(void *, void *)'),
    greedy: llama.func('void *llama_sampler_init_greedy()'),
    topK: llama.func('void *llama_sampler_init_top_k(int)'),
    topP: llama.func('void *llama_sampler_init_top_p(float, size_t)'),
    temperature: llama.func('void *llama_sampler_init_temp(float)'),
    dist: llama.func('void *llama_sampler_init_dist(uint32)'),
    sample: llama.func('int llama_sampler_sample(void *, void *, int)'),
  }
}
