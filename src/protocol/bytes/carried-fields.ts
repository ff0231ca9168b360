/** Fields that a request parsed and written anew still has. Others are lost when a stream is continued. */
const carried: ReadonlySet<string> = new Set([
  'best_of',
  'chat_template_kwargs',
  'continue_final_message',
  'add_generation_prompt',
  'echo',
  'frequency_penalty',
  'functions',
  'ignore_eos',
  'logit_bias',
  'logprobs',
  'max_completion_tokens',
  'max_tokens',
  'messages',
  'metadata',
  'min_p',
  'min_tokens',
  'model',
  'n',
  'parallel_tool_calls',
  'presence_penalty',
  'priority',
  'prompt',
  'prompt_cache_key',
  'reasoning_effort',
  'repetition_penalty',
  'response_format',
  'safety_identifier',
  'seed',
  'service_tier',
  'stop',
  'stop_token_ids',
  'store',
  'stream',
  'stream_options',
  'temperature',
  'tool_choice',
  'tools',
  'top_k',
  'top_logprobs',
  'top_p',
  'user',
])

/** Would the request, parsed and written anew, ask for the same? Parses the body: asked only where a stream broke. */
export function carriesOver(body: Buffer): boolean {
  try {
    const fields = Object.entries(JSON.parse(body.toString()) as Record<string, unknown>)
    return fields.every(([name, value]) => carried.has(name) || value === null)
  } catch {
    return false
  }
}
