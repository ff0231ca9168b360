/** Totals since the mock started, and what holds now. */
export interface MockTotals {
  requests: number
  promptTokens: number
  cachedTokens: number
  generatedTokens: number
  running: number
  waiting: number
  kvCacheUsage: number | undefined
  preemptions: number
}

/** The totals in Prometheus text, under vLLM's names, so that whatever reads a vLLM reads the mock. */
export function metricsText(model: string, totals: MockTotals): string {
  const label = `{model_name=${JSON.stringify(model)}}`
  const lines: string[] = []
  const add = (name: string, type: 'gauge' | 'counter', help: string, value: number): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, `${name}${label} ${value}`)
  }
  add('vllm:num_requests_running', 'gauge', 'Requests that generate now.', totals.running)
  add('vllm:num_requests_waiting', 'gauge', 'Requests that wait in line.', totals.waiting)
  if (totals.kvCacheUsage !== undefined)
    add('vllm:kv_cache_usage_perc', 'gauge', 'Share of KV cells in use, 0 to 1.', totals.kvCacheUsage)
  add('vllm:num_preemptions_total', 'counter', 'Sequences preempted.', totals.preemptions)
  add('vllm:prompt_tokens_total', 'counter', 'Prompt tokens.', totals.promptTokens)
  add('vllm:generation_tokens_total', 'counter', 'Generated tokens.', totals.generatedTokens)
  add('vllm:prefix_cache_queries_total', 'counter', 'Prompt tokens looked up.', totals.promptTokens)
  add('vllm:prefix_cache_hits_total', 'counter', 'Prompt tokens found.', totals.cachedTokens)
  add('vllm:request_success_total', 'counter', 'Requests completed.', totals.requests)
  return `${lines.join('\n')}\n`
}
