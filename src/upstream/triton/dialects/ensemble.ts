import type { FinishReason } from '../../../inference/index.ts'
import { numberAt, textAt, type TritonAsk, type TritonDialect } from '../dialect.ts'
import { InputList, refuseAt } from '../inputs.ts'

/**
 * TensorRT-LLM's `ensemble` and `tensorrt_llm_bls`: tokenizer, engine and detokenizer as one model. No reason for the
 * end is given, so it is told from the count; stop words stay in the answer; `tensorrt_llm_bls` with
 * `accumulate_tokens` repeats the whole text in each response.
 */
export const ensemble: TritonDialect = {
  kind: 'trtllm-ensemble',
  matches: ({ inputs }) => inputs.has('text_input') && inputs.has('max_tokens'),
  tellsFinish: () => false,

  extensions: ({ inputs }) => (inputs.has('min_tokens') ? ['minTokens'] : []),

  encode(ask) {
    const { request, model, prompt, maxTokens, seed, stop } = ask
    const { sampling } = request
    if (request.logprobs !== undefined) refuseAt(model, 'logprobs')
    if (request.promptLogprobs !== undefined) refuseAt(model, 'prompt_logprobs')
    if (request.stopTokens !== undefined) refuseAt(model, 'stop_token_ids')
    if (sampling.minP !== 0) refuseAt(model, 'min_p')
    if (sampling.logitBias.size > 0) refuseAt(model, 'logit_bias')
    const list = new InputList(model)
    list.require('prompt', 'text_input', 'BYTES', prompt)
    list.require('max_tokens', 'max_tokens', 'INT32', maxTokens)
    list.offer('stream', 'BOOL', model.decoupled)
    list.offer('exclude_input_in_output', 'BOOL', true)
    list.offer('return_num_input_tokens', 'BOOL', true)
    list.offer('return_num_output_tokens', 'BOOL', true)
    list.offer('seed', 'UINT64', seed)
    if (sampling.temperature === 0) list.require('temperature', 'top_k', 'INT32', 1)
    else {
      list.require('temperature', 'temperature', 'FP32', sampling.temperature)
      if (sampling.topP !== 1) list.require('top_p', 'top_p', 'FP32', sampling.topP)
      if (sampling.topK !== 0) list.require('top_k', 'top_k', 'INT32', sampling.topK)
    }
    if (sampling.presencePenalty !== 0) {
      list.require('presence_penalty', 'presence_penalty', 'FP32', sampling.presencePenalty)
    }
    if (sampling.frequencyPenalty !== 0) {
      list.require('frequency_penalty', 'frequency_penalty', 'FP32', sampling.frequencyPenalty)
    }
    if (sampling.repetitionPenalty !== 1) {
      list.require('repetition_penalty', 'repetition_penalty', 'FP32', sampling.repetitionPenalty)
    }
    if (stop.length > 0) list.require('stop', 'stop_words', 'BYTES', ...stop)
    if (request.minTokens !== undefined) list.require('min_tokens', 'min_tokens', 'INT32', request.minTokens)
    // No token has this id: nothing ends the sequence but its length.
    if (request.ignoreEos) list.require('ignore_eos', 'end_id', 'INT32', -1)
    addGuide(list, ask)
    return list.tensors
  },

  reader({ model, maxTokens }) {
    const accumulates = model.parameters.get('accumulate_tokens') === 'true'
    let said = ''
    let tokens = 0
    return (outputs) => {
      const given = textAt(outputs, 'text_output') ?? ''
      const text = accumulates && given.startsWith(said) ? given.slice(said.length) : given
      if (accumulates) said += text
      const more = numberAt(outputs, 'num_output_tokens')
      tokens += more ?? 0
      const finish: FinishReason | undefined = more !== undefined && tokens >= maxTokens ? 'length' : undefined
      return {
        text,
        tokens: more,
        promptTokens: numberAt(outputs, 'num_input_tokens'),
        finish,
        stopReason: undefined,
        logprobs: [],
      }
    }
  },
}

/** Guided decoding, by the names of TensorRT-LLM's guides. */
function addGuide(list: InputList, { request: { constraint } }: TritonAsk): void {
  if (constraint === undefined) return
  const guide =
    constraint.kind === 'jsonObject'
      ? (['json', undefined] as const)
      : constraint.kind === 'jsonSchema'
        ? (['json_schema', JSON.stringify(constraint.schema)] as const)
        : (['ebnf_grammar', constraint.grammar] as const)
  const [type, text] = guide
  list.require('response_format', 'guided_decoding_guide_type', 'BYTES', type)
  if (text !== undefined) list.require('response_format', 'guided_decoding_guide', 'BYTES', text)
}
