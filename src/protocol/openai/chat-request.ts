import type { ChatInput } from '../../inference/index.ts'
import { checkDepth, invalid, type Fields } from '../fields.ts'
import type { GenerationCall } from '../generation-call.ts'
import type { ProtocolLimits } from '../limits.ts'
import { ChatAnswerEncoder } from './chat-answer.ts'
import { ChatStreamEncoder } from './chat-stream.ts'
import { readConstraint } from './constraint.ts'
import { readMessages } from './messages.ts'
import { checkMinTokens, readSharedParameters } from './sampling.ts'
import { readStreamOptions } from './stream-options.ts'
import { readToolUse } from './tools.ts'

/** Reads the body of POST /v1/chat/completions. Throws `invalid_request`, `unsupported`, `limit_exceeded`. */
export function parseChatCall(body: Fields, limits: ProtocolLimits): GenerationCall {
  const stream = readStreamOptions(body)
  const chat = readChatInput(body, limits)
  const shared = readSharedParameters(body, limits)
  const maxTokens = body.integer('max_completion_tokens', 1) ?? body.integer('max_tokens', 1)
  checkMinTokens(shared.minTokens, maxTokens)
  const draft = {
    ...shared,
    input: { kind: 'chat' as const, chat },
    maxTokens,
    logprobs: readLogprobs(body),
    promptLogprobs: undefined,
    constraint: readConstraint(body, limits),
  }
  const mayCall = chat.tools.length > 0 && chat.toolChoice.kind !== 'none'
  const manner = { namedTool: chat.toolChoice.kind === 'named', mayCall, choices: shared.n, ...stream }
  return {
    model: body.string('model'),
    stream: stream.stream,
    drafts: [draft],
    echo: false,
    encoder: (identity) =>
      stream.stream ? new ChatStreamEncoder(identity, manner) : new ChatAnswerEncoder(identity, manner),
  }
}

/** The chat itself: what /tokenize renders too. */
export function readChatInput(body: Fields, limits: ProtocolLimits): ChatInput {
  const modalities = body.array('modalities') ?? []
  if (modalities.some((modality) => modality !== 'text')) body.refuse('modalities', 'this endpoint writes text only.')
  if (body.has('audio')) body.refuse('audio', 'this endpoint writes text only.')
  if (body.has('web_search_options')) body.refuse('web_search_options', 'this endpoint does not search.')
  if (body.has('chat_template')) body.refuse('chat_template', "the model's own template is used.")

  const messages = readMessages(body, limits)
  const { tools, toolChoice } = readToolUse(body, limits)
  const continueFinalMessage = body.boolean('continue_final_message') ?? false
  const addGenerationPrompt = body.boolean('add_generation_prompt') ?? !continueFinalMessage
  if (continueFinalMessage && addGenerationPrompt) {
    throw invalid('continue_final_message', 'and add_generation_prompt are both true; only one can hold.')
  }
  if (!continueFinalMessage && !addGenerationPrompt) {
    body.refuse('add_generation_prompt', 'false is honoured together with continue_final_message only.')
  }
  if (continueFinalMessage && messages.at(-1)?.role !== 'assistant') {
    throw invalid('continue_final_message', 'is true, but the last message is not of the assistant.')
  }
  const variables = body.object('chat_template_kwargs') === undefined ? {} : body.raw('chat_template_kwargs')
  checkDepth(variables, 'chat_template_kwargs', limits.maxJsonDepth)
  return {
    messages,
    tools,
    toolChoice,
    parallelToolCalls: body.boolean('parallel_tool_calls') ?? true,
    reasoningEffort: body.string('reasoning_effort'),
    templateVariables: { ...readThinkingSwitch(body), ...(variables as Readonly<Record<string, unknown>>) },
    continueFinalMessage,
  }
}

/** `enable_thinking` beside the other fields, as some clients send it: the variable that templates read. */
function readThinkingSwitch(body: Fields): Readonly<Record<string, unknown>> {
  const thinks = body.boolean('enable_thinking')
  return thinks === undefined ? {} : { enable_thinking: thinks }
}

/** `logprobs: true` with `top_logprobs`; vLLM's and OpenAI's most is 20. */
function readLogprobs(body: Fields): number | undefined {
  const wanted = body.boolean('logprobs') ?? false
  const top = body.integer('top_logprobs', 0, 20)
  if (!wanted && top !== undefined && top > 0) {
    throw invalid('top_logprobs', `is ${top}, but logprobs is not true. Set logprobs to true.`)
  }
  return wanted ? (top ?? 0) : undefined
}
