import { allExtensions } from '../../inference/index.ts'
import type { Dialect } from '../dialect.ts'
import { meanOf, sumOf } from '../metrics-text.ts'
import { vllm } from './vllm.ts'

/** Another Tokenmill: its extras are those of vLLM, and so are its metric names until it says otherwise. */
export const tokenmill: Dialect = {
  ...vllm,
  kind: 'tokenmill',
  extensions: allExtensions,
  parts: ['image', 'audio', 'file'],
  readLoad(page) {
    const running = sumOf(page, 'tokenmill_requests_running', 'vllm:num_requests_running')
    if (running === undefined) return undefined
    return {
      running,
      waiting: sumOf(page, 'tokenmill_requests_waiting', 'vllm:num_requests_waiting'),
      kvCacheUsage: meanOf(page, 'tokenmill_kv_cache_usage_ratio', 'vllm:kv_cache_usage_perc'),
      prefixCache: undefined,
      preemptions: undefined,
    }
  },
}
