import { describe, expect, it } from 'vitest'
import { dialects } from './dialects/index.ts'
import { readSamples } from './metrics-text.ts'

describe('readSamples', () => {
  it('finds whole names at the start of lines only', () => {
    const page = Buffer.from(
      '# HELP a_b text a_b 9\n# TYPE a_b gauge\na_b{x="1",y="two"} 3.5\na_b_total 7\nxa_b 8\na_b 1e3 1700000000\na_b{} NaN\na_b +Inf',
    )
    expect(readSamples(page, 'a_b')).toEqual([
      { labels: { x: '1', y: 'two' }, value: 3.5 },
      { labels: {}, value: 1000 },
      { labels: {}, value: Infinity },
    ])
    expect(readSamples(page, 'absent')).toEqual([])
  })
})

describe('Dialect.readLoad()', () => {
  it('adds up the engines behind one vLLM address, and averages their shares', () => {
    const page = Buffer.from(
      [
        'vllm:num_requests_running{engine="0",model_name="m"} 3.0',
        'vllm:num_requests_running{engine="1",model_name="m"} 4.0',
        'vllm:num_requests_waiting{engine="0",model_name="m"} 1.0',
        'vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5',
        'vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.7',
        'vllm:prefix_cache_queries_total{engine="0",model_name="m"} 1000.0',
        'vllm:prefix_cache_hits_total{engine="0",model_name="m"} 250.0',
        '',
      ].join('\n'),
    )
    expect(dialects.vllm.readLoad(page)).toEqual({
      running: 7,
      waiting: 1,
      kvCacheUsage: 0.6,
      prefixCache: { queries: 1000, hits: 250 },
      preemptions: undefined,
    })
  })

  it('reads both prefixes of SGLang, both pages of trtllm-serve, and llama-server', () => {
    expect(
      dialects.sglang.readLoad(Buffer.from('sglang:num_running_reqs{a="b"} 2\nsglang:num_queue_reqs 5\n')),
    ).toMatchObject({ running: 2, waiting: 5 })
    expect(dialects.sglang.readLoad(Buffer.from('sglang_num_running_reqs 2\nsglang_token_usage 0.25\n'))).toMatchObject(
      { running: 2, kvCacheUsage: 0.25 },
    )
    expect(
      dialects.trtllm.readLoad(Buffer.from('trtllm_num_requests_running 4\ntrtllm_kv_cache_utilization 0.5\n')),
    ).toMatchObject({ running: 4, kvCacheUsage: 0.5 })
    const iterations = JSON.stringify([
      {},
      { numActiveRequests: 6, numQueuedRequests: 1, kvCacheStats: { maxNumBlocks: 100, usedNumBlocks: 25 } },
    ])
    expect(dialects.trtllm.readLoad(Buffer.from(iterations))).toMatchObject({
      running: 6,
      waiting: 1,
      kvCacheUsage: 0.25,
    })
    expect(
      dialects['llama-server'].readLoad(Buffer.from('llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\n')),
    ).toMatchObject({ running: 1, waiting: 2 })
  })

  it('does not take a page of another engine for idleness', () => {
    for (const dialect of Object.values(dialects)) {
      if (dialect.kind !== 'openai') expect(dialect.readLoad(Buffer.from('<html>'))).toBeUndefined()
    }
  })
})
