import koffi from 'koffi'
import type { Pointer } from './abi.ts'
import type { NativeLibrary } from './library.ts'
import { call } from './llama-model.ts'

/** GGML_MAX_N_THREADS of ggml/include/ggml.h. */
const cpuMaskBytes = 512

/**
 * Gives the context a pool of threads that lives between steps. Without one, libllama starts and joins threads in every
 * step (the packs are built without OpenMP): 6 to 10 % of a step of 25 ms. One thread needs no pool.
 */
export function attachThreadpool({ ggml, llama }: NativeLibrary, context: Pointer, threads: number): void {
  if (threads < 2) return
  const create = findCpuFunction(ggml, 'ggml_threadpool_new')
  if (create === null) return
  // struct ggml_threadpool_params: bool cpumask[512]; int n_threads; int prio; uint32 poll; bool strict_cpu; bool paused
  const params = new DataView(new ArrayBuffer(cpuMaskBytes + 16))
  params.setInt32(cpuMaskBytes, threads, true)
  params.setInt32(cpuMaskBytes + 4, 0, true)
  params.setUint32(cpuMaskBytes + 8, 50, true)
  const type = koffi.proto('void *', ['void *'])
  const pool = koffi.call(create, type, new Uint8Array(params.buffer)) as Pointer
  if (pool !== null) call(llama['llama_attach_threadpool'], context, pool, pool)
}

/** The address of a function that the CPU backend exports by name only. */
function findCpuFunction(ggml: NativeLibrary['ggml'], name: string): Pointer {
  const devices = Number(call(ggml['ggml_backend_dev_count']))
  for (let at = 0; at < devices; at += 1) {
    const registry = call(ggml['ggml_backend_dev_backend_reg'], call(ggml['ggml_backend_dev_get'], at))
    if (call(ggml['ggml_backend_reg_name'], registry) === 'CPU') {
      return call(ggml['ggml_backend_reg_get_proc_address'], registry, name) as Pointer
    }
  }
  return null
}
