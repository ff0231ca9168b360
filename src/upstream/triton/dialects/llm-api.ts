import { givenAt, textAt, type TritonDialect } from '../dialect.ts'
import { InputList, refuseAt } from '../inputs.ts'

/**
 * TensorRT-LLM's backend over its LLM API. A streamed response holds the whole text so far, not what is new; tokens
 * are not counted; a stop text is taken off the answer, and named.
 */
export const llmApi: TritonDialect = {
  kind: 'trtllm-llmapi',
  matches: ({ inputs }) => inputs.has('text_input') && inputs.has('sampling_param_max_tokens'),
  tellsFinish: ({ inputs }) => inputs.has('return_finish_reason'),

  extensions: () => [],

  encode({ request, model, prompt, maxTokens, seed, stop }) {
    const { sampling } = request
    if (request.minTokens !== undefined) refuseAt(model, 'min_tokens')
    if (request.stopTokens !== undefined) refuseAt(model, 'stop_token_ids')
    if (request.ignoreEos) refuseAt(model, 'ignore_eos')
    if (request.logprobs !== undefined) refuseAt(model, 'logprobs')
    if (request.promptLogprobs !== undefined) refuseAt(model, 'prompt_logprobs')
    if (request.constraint !== undefined) refuseAt(model, 'response_format')
    if (sampling.minP !== 0) refuseAt(model, 'min_p')
    if (sampling.repetitionPenalty !== 1) refuseAt(model, 'repetition_penalty')
    if (sampling.logitBias.size > 0) refuseAt(model, 'logit_bias')
    const list = new InputList(model)
    list.require('prompt', 'text_input', 'BYTES', prompt)
    list.offer('streaming', 'BOOL', model.decoupled)
    list.offer('sampling_param_max_tokens', 'INT32', maxTokens)
    list.offer('sampling_param_exclude_input_from_output', 'BOOL', true)
    list.offer('return_finish_reason', 'BOOL', true)
    list.offer('return_stop_reason', 'BOOL', true)
    list.offer('sampling_param_seed', 'UINT64', seed)
    // Temperature 0 is no division here; the most likely token is top_k 1.
    if (sampling.temperature === 0) list.require('temperature', 'sampling_param_top_k', 'INT32', 1)
    else {
      list.require('temperature', 'sampling_param_temperature', 'FP32', sampling.temperature)
      if (sampling.topP !== 1) list.require('top_p', 'sampling_param_top_p', 'FP32', sampling.topP)
      if (sampling.topK !== 0) list.require('top_k', 'sampling_param_top_k', 'INT32', sampling.topK)
    }
    if (sampling.presencePenalty !== 0) {
      list.require('presence_penalty', 'sampling_param_presence_penalty', 'FP32', sampling.presencePenalty)
    }
    if (sampling.frequencyPenalty !== 0) {
      list.require('frequency_penalty', 'sampling_param_frequency_penalty', 'FP32', sampling.frequencyPenalty)
    }
    if (stop.length > 0) list.require('stop', 'sampling_param_stop', 'BYTES', ...stop)
    return list.tensors
  },

  reader() {
    let said = ''
    return (outputs) => {
      const whole = textAt(outputs, 'text_output') ?? ''
      // A half character at the end may be shown as U+FFFD first and become another one.
      const stable = givenAt(outputs, 'finish_reason') === undefined ? whole.replace(/\uFFFD+$/, '') : whole
      const text = stable.startsWith(said) ? stable.slice(said.length) : ''
      said += text
      const finish = givenAt(outputs, 'finish_reason')
      return {
        text,
        tokens: undefined,
        promptTokens: undefined,
        finish: finish === undefined ? undefined : finish === 'length' ? 'length' : 'stop',
        stopReason: givenAt(outputs, 'stop_reason'),
        logprobs: [],
      }
    }
  },
}
