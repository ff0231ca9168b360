import type { GenerationRequest, RareSamplers, SamplingOptions } from '../../inference/index.ts'
import { checkLength, invalid, wrongType, type Fields } from '../fields.ts'
import type { GenerationDraft } from '../generation-call.ts'
import type { ProtocolLimits } from '../limits.ts'
import { readRareSamplers } from './rare-samplers.ts'
import { readTokens } from './token-ids.ts'

/** What chat and completions ask for with the same words. */
export type SharedParameters = Pick<
  GenerationDraft,
  | 'n'
  | 'stop'
  | 'ignoreEos'
  | 'minTokens'
  | 'stopTokens'
  | 'truncatePromptTokens'
  | 'sampling'
  | 'deadlineMs'
  | 'affinityKey'
  | keyof RareSamplers
>

/** Reads OpenAI's sampling fields and the extras that vLLM and llama-server brought into use. */
export function readSharedParameters(body: Fields, limits: ProtocolLimits): SharedParameters {
  refuseUnhonoured(body)
  const minTokens = body.integer('min_tokens', 0, 2 ** 31 - 1) ?? 0
  const stopTokens = readStopTokens(body, limits)
  return {
    n: body.integer('n', 1, limits.maxChoices) ?? 1,
    stop: readStop(body, limits),
    ignoreEos: body.boolean('ignore_eos') ?? false,
    ...(minTokens > 0 && { minTokens }),
    ...(stopTokens.length > 0 && { stopTokens }),
    sampling: readSampling(body, limits),
    ...readRareSamplers(body, limits),
    ...readTruncation(body),
    deadlineMs: undefined,
    affinityKey: body.string('prompt_cache_key') ?? body.string('safety_identifier') ?? body.string('user'),
  }
}

function readSampling(body: Fields, limits: ProtocolLimits): SamplingOptions {
  return {
    temperature: body.number('temperature', 0, 2) ?? 1,
    topP: body.number('top_p', 0, 1) ?? 1,
    // -1 is vLLM's word for off, 0 is llama.cpp's.
    topK: Math.max(0, body.integer('top_k', -1, 2 ** 31 - 1) ?? 0),
    minP: body.number('min_p', 0, 1) ?? 0,
    presencePenalty: body.number('presence_penalty', -2, 2) ?? 0,
    frequencyPenalty: body.number('frequency_penalty', -2, 2) ?? 0,
    repetitionPenalty: body.number('repetition_penalty', 0.01, 100) ?? body.number('repeat_penalty', 0.01, 100) ?? 1,
    logitBias: readLogitBias(body, limits),
    seed: body.integer('seed', Number.MIN_SAFE_INTEGER),
  }
}

function readLogitBias(body: Fields, limits: ProtocolLimits): ReadonlyMap<number, number> {
  const biases = new Map<number, number>()
  const object = body.object('logit_bias')
  if (object === undefined) return biases
  const names = object.names()
  checkLength(names.length, 'logit_bias', { name: 'maxLogitBiases', maximum: limits.maxLogitBiases, unit: 'entries' })
  for (const name of names) {
    if (!/^\d{1,9}$/.test(name)) {
      throw invalid('logit_bias', `has the key ${JSON.stringify(name.slice(0, 40))}; keys are token ids.`)
    }
    const bias = object.number(name, -100, 100)
    if (bias !== undefined) biases.set(Number(name), bias)
  }
  return biases
}

function readStop(body: Fields, limits: ProtocolLimits): readonly string[] {
  const raw = body.raw('stop')
  if (raw === undefined) return []
  const texts: readonly unknown[] = typeof raw === 'string' ? [raw] : (body.array('stop') ?? [])
  checkLength(texts.length, 'stop', { name: 'maxStops', maximum: limits.maxStops, unit: 'texts' })
  return texts.map((text, index) => {
    const path = Array.isArray(raw) ? `stop[${index}]` : 'stop'
    if (typeof text !== 'string') throw wrongType(path, text, 'a string')
    if (text === '') throw invalid(path, 'is empty; it must have at least one character.')
    if (text.length > maxStopCharacters) {
      throw invalid(path, `has ${text.length} characters; the most is ${maxStopCharacters}.`)
    }
    return text
  })
}

/** vLLM's field: so many last tokens of the prompt, −1 for as many as fit. */
function readTruncation(body: Fields): Pick<GenerationRequest, 'truncatePromptTokens'> {
  const tokens = body.integer('truncate_prompt_tokens', -1)
  if (tokens === undefined) return {}
  if (tokens === 0) throw invalid('truncate_prompt_tokens', 'is 0; it must be -1 or at least 1.')
  return { truncatePromptTokens: tokens < 0 ? 'context' : tokens }
}

function readStopTokens(body: Fields, limits: ProtocolLimits): readonly number[] {
  const limit = { name: 'maxStops', maximum: limits.maxStops, unit: 'tokens' }
  return readTokens(body.array('stop_token_ids', limit) ?? [], 'stop_token_ids')
}

/** `min_tokens` beside the limit that holds for it. Throws `invalid_request` where it lies above. */
export function checkMinTokens(minTokens: number | undefined, maxTokens: number | undefined): void {
  if (minTokens === undefined || maxTokens === undefined || minTokens <= maxTokens) return
  throw invalid(
    'min_tokens',
    `is ${minTokens}, but the most tokens are ${maxTokens}. Raise max_tokens, or ask for fewer.`,
  )
}

/** A stop text holds back as many characters of each stream as it is long. */
const maxStopCharacters = 1024

/**
 * Parameters that would change the output and that nothing here can honour. Neutral values pass, because
 * clients send them by habit.
 */
function refuseUnhonoured(body: Fields): void {
  if (body.boolean('use_beam_search') === true) body.refuse('use_beam_search', 'use n with temperature instead.')
  if ((body.number('length_penalty', -100, 100) ?? 1) !== 1) body.refuse('length_penalty', 'it belongs to beam search.')
  if ((body.number('top_n_sigma', -1, 100) ?? 0) > 0) body.refuse('top_n_sigma', 'use min_p or top_p instead.')
  if ((body.number('dynatemp_range', 0, 100) ?? 0) > 0) body.refuse('dynatemp_range', 'use temperature alone.')
  if ((body.number('adaptive_target', -1, 1) ?? -1) >= 0) body.refuse('adaptive_target', 'use mirostat instead.')
  if (body.has('samplers')) body.refuse('samplers', 'their order is fixed.')
  if (body.has('prompt_logprobs')) body.refuse('prompt_logprobs', 'use echo with logprobs in /v1/completions.')
  if (body.boolean('include_stop_str_in_output') === true && (body.has('stop') || body.has('stop_token_ids')))
    body.refuse('include_stop_str_in_output', 'stop_reason tells the text that ended the answer; append it.')
  for (const name of ['bad_words', 'allowed_token_ids']) {
    if ((body.array(name)?.length ?? 0) > 0) body.refuse(name, 'use logit_bias instead.')
  }
}
