import { extensionFields, vllmExtensions, type TokenLogprobs } from '../../../inference/index.ts'
import { givenAt, numberAt, textAt, type TritonDialect } from '../dialect.ts'
import { InputList, refuseAt } from '../inputs.ts'

/**
 * vLLM's backend: always decoupled, never batched; sampling comes as one JSON text. A stop text stays in the answer
 * on request, so that whoever reads it knows which one it was.
 */
export const vllm: TritonDialect = {
  kind: 'vllm',
  matches: ({ inputs }) => inputs.has('text_input') && inputs.has('sampling_parameters'),
  tellsFinish: ({ inputs }) => inputs.has('return_finish_reason'),

  extensions: () => [...vllmExtensions],

  encode({ request, model, prompt, maxTokens, seed, stop, showSpecialTokens }) {
    const { sampling } = request
    if (request.promptLogprobs !== undefined) refuseAt(model, 'prompt_logprobs')
    if (request.constraint !== undefined) refuseAt(model, 'response_format')
    const parameters = {
      max_tokens: maxTokens,
      temperature: sampling.temperature,
      top_p: sampling.topP,
      seed,
      ...(sampling.topK === 0 ? {} : { top_k: sampling.topK }),
      ...(sampling.minP === 0 ? {} : { min_p: sampling.minP }),
      ...(sampling.presencePenalty === 0 ? {} : { presence_penalty: sampling.presencePenalty }),
      ...(sampling.frequencyPenalty === 0 ? {} : { frequency_penalty: sampling.frequencyPenalty }),
      ...(sampling.repetitionPenalty === 1 ? {} : { repetition_penalty: sampling.repetitionPenalty }),
      ...(sampling.logitBias.size === 0 ? {} : { logit_bias: Object.fromEntries(sampling.logitBias) }),
      ...(stop.length === 0 ? {} : { stop, include_stop_str_in_output: true }),
      ...(request.ignoreEos ? { ignore_eos: true } : {}),
      ...extensionFields(request),
      ...(request.logprobs === undefined ? {} : { logprobs: request.logprobs }),
      ...(showSpecialTokens ? { skip_special_tokens: false } : {}),
    }
    const list = new InputList(model)
    list.require('prompt', 'text_input', 'BYTES', prompt)
    list.offer('stream', 'BOOL', true)
    list.offer('sampling_parameters', 'BYTES', JSON.stringify(parameters))
    list.offer('exclude_input_in_output', 'BOOL', true)
    list.offer('return_finish_reason', 'BOOL', true)
    list.offer('return_num_input_tokens', 'BOOL', true)
    list.offer('return_num_output_tokens', 'BOOL', true)
    if (request.logprobs !== undefined) list.require('logprobs', 'return_logprobs', 'BOOL', true)
    return list.tensors
  },

  reader: () => (outputs) => {
    const finish = givenAt(outputs, 'finish_reason')
    return {
      text: textAt(outputs, 'text_output') ?? '',
      tokens: numberAt(outputs, 'num_output_tokens'),
      promptTokens: numberAt(outputs, 'num_input_tokens'),
      finish: finish === undefined ? undefined : finish === 'length' ? 'length' : 'stop',
      stopReason: undefined,
      logprobs: readLogprobs(textAt(outputs, 'logprobs')),
    }
  },
}

/** `[{"token id": {logprob, rank, decoded_token}}]`: an entry for each token, in it the chosen one first. */
function readLogprobs(text: string | undefined): TokenLogprobs[] {
  if (text === undefined || text === 'null') return []
  // Keys that look like numbers would be sorted, and the chosen token lost among the others.
  const named = text.replaceAll(/"(\d+)":\s*\{/g, '"t$1":{')
  const list = JSON.parse(named) as readonly Readonly<Record<string, LogprobEntry>>[]
  return list.map((entry) => {
    const tokens = Object.entries(entry).map(([id, { logprob, decoded_token: decoded }]) => ({
      id: Number(id.slice(1)),
      bytes: Buffer.from(decoded ?? ''),
      logprob,
    }))
    const [chosen = { id: -1, bytes: new Uint8Array(), logprob: -Infinity }] = tokens
    return { token: chosen, top: tokens.toSorted((a, b) => b.logprob - a.logprob) }
  })
}

interface LogprobEntry {
  readonly logprob: number
  readonly decoded_token?: string | null
}
