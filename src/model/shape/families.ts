/** What the configuration class of a family assumes where the file says nothing (transformers 4.57, `configuration_*.py`). */
const familyDefaults: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  gemma2: { sliding_window_pattern: 2 },
  gemma3_text: {
    vocab_size: 262_208,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    max_position_embeddings: 131_072,
    sliding_window_pattern: 6,
  },
  cohere2: { sliding_window_pattern: 4 },
  olmo3: { sliding_window_pattern: 4 },
  gpt_oss: { sliding_window_pattern: 2 },
  granitemoehybrid: { mamba_n_groups: 1, mamba_d_state: 256, mamba_d_conv: 4 },
  qwen2: { use_sliding_window: false },
  qwen2_moe: { use_sliding_window: false },
  qwen3: { use_sliding_window: false },
  qwen3_moe: { use_sliding_window: false },
  qwen3_next: { attn_output_gate: true, full_attention_interval: 4 },
}

/** Families whose input and output embeddings are one matrix unless the file says otherwise. */
const tiedFamilies =
  /^(gemma|cohere|command|starcoder2|gpt2|gpt_bigcode|bloom|falcon|opt|mpt|dbrx|lfm2|t5gemma|recurrent_gemma)/

/** Families whose feed-forward part has no gate: one matrix up, one down. */
const gatelessFamilies =
  /^(apertus|starcoder2|nemotron|nemotron_h|arcee|gpt2|gpt_neo|gpt_neox|gptj|gpt_bigcode|bloom|opt|mpt|falcon|phi|phi-msft|persimmon|codegen|stablelm_alpha)$/

/** Activations that come without a gate wherever they are used. */
const gatelessActivations = /^(relu2|relu_squared|squared_relu|xielu)$/

/** A family's defaults; empty for most. */
export function defaultsOf(modelType: string): Readonly<Record<string, unknown>> {
  return familyDefaults[modelType] ?? {}
}

export function isTiedByDefault(modelType: string): boolean {
  return tiedFamilies.test(modelType)
}

/** Matrices of a feed-forward part: 3 with a gate (SwiGLU), 2 without. */
export function ffnMatrices(modelType: string, activation: string | undefined): number {
  return gatelessFamilies.test(modelType) || gatelessActivations.test(activation ?? '') ? 2 : 3
}

export function hasQueryKeyNorm(modelType: string): boolean {
  return /^(qwen3|gemma3|gemma4|apertus|exaone4|olmo2|olmo3)/.test(modelType)
}
