import {
  extensionFields,
  extensionNames,
  extensionsOf,
  requireParts,
  withReasoning,
  type ChatInput,
  type ChatMessage,
  type MessagePart,
  type GenerationRequest,
  type RelayOperation,
} from '../inference/index.ts'
import type { Dialect } from './dialect.ts'
import { TokenmillError } from '../core/index.ts'
import { refuse } from './dialects/extras.ts'

/** A generation as an engine's OpenAI path takes it: which one, and the body. Always a stream that ends with usage. */
export function encodeGeneration(
  request: GenerationRequest,
  model: string,
  dialect: Dialect,
): { readonly operation: RelayOperation; readonly body: Record<string, unknown> } {
  const common = {
    model,
    stream: true,
    stream_options: { include_usage: true, ...(dialect.continuousUsage ? { continuous_usage_stats: true } : {}) },
    ...(request.n === 1 ? {} : { n: request.n }),
    ...(request.stop.length === 0 ? {} : { stop: request.stop }),
    ...sampling(request),
    ...constraint(request),
    ...extensions(request, dialect),
    ...dialect.extras(request),
  }
  if (request.input.kind !== 'chat') {
    return {
      operation: 'completion',
      body: {
        ...common,
        prompt: request.input.kind === 'text' ? request.input.text : request.input.tokens,
        // Without it this old path stops after 16 tokens.
        max_tokens: request.maxTokens ?? defaultCompletionTokens,
        ...(request.logprobs === undefined ? {} : { logprobs: request.logprobs }),
      },
    }
  }
  return {
    operation: 'chat',
    body: {
      ...common,
      ...chat(request.input.chat, dialect),
      ...(request.maxTokens === undefined ? {} : { [dialect.maxTokensField]: request.maxTokens }),
      ...(request.logprobs === undefined ? {} : { logprobs: true, top_logprobs: request.logprobs }),
    },
  }
}

/** For the completions path, which has no "as many as fit": engines cut it to what the context leaves. */
const defaultCompletionTokens = 4096

function sampling(request: GenerationRequest): Record<string, unknown> {
  const { sampling } = request
  return {
    temperature: sampling.temperature,
    top_p: sampling.topP,
    ...(sampling.presencePenalty === 0 ? {} : { presence_penalty: sampling.presencePenalty }),
    ...(sampling.frequencyPenalty === 0 ? {} : { frequency_penalty: sampling.frequencyPenalty }),
    ...(sampling.logitBias.size === 0 ? {} : { logit_bias: Object.fromEntries(sampling.logitBias) }),
    ...(sampling.seed === undefined ? {} : { seed: sampling.seed }),
  }
}

/** Checked once more here: a fallback's engine may know less than those of the model that was asked for. */
function extensions(request: GenerationRequest, dialect: Dialect): Record<string, unknown> {
  const fields = extensionsOf(request)
  for (const field of fields) if (!dialect.extensions.has(field)) refuse(dialect.kind, extensionNames[field])
  return extensionFields(request)
}

function constraint(request: GenerationRequest): Record<string, unknown> {
  const constraint = request.constraint
  if (constraint?.kind === 'jsonObject') return { response_format: { type: 'json_object' } }
  if (constraint?.kind !== 'jsonSchema') return {}
  const { name, schema, strict } = constraint
  return { response_format: { type: 'json_schema', json_schema: { name, schema, strict } } }
}

function chat(input: ChatInput, dialect: Dialect): Record<string, unknown> {
  const { toolChoice } = input
  if (input.continueFinalMessage && dialect.continuation === undefined) {
    const message = `An engine of kind '${dialect.kind}' cannot continue the last message of a chat.`
    throw new TokenmillError('unsupported', message, { param: 'continue_final_message' })
  }
  return {
    messages: encodeMessages(input.messages, dialect),
    ...(input.tools.length === 0
      ? {}
      : {
          tools: input.tools.map(({ name, description, parameters, strict }) => ({
            type: 'function',
            function: { name, description, parameters, ...(strict ? { strict } : {}) },
          })),
          tool_choice:
            toolChoice.kind === 'named' ? { type: 'function', function: { name: toolChoice.name } } : toolChoice.kind,
          ...(input.parallelToolCalls ? {} : { parallel_tool_calls: false }),
        }),
    ...(input.reasoningEffort === undefined ? {} : { reasoning_effort: input.reasoningEffort }),
    ...(input.continueFinalMessage ? dialect.continuation : {}),
  }
}

/** A chat for the paths that render and tokenize: all that its template reads. */
export function encodeRenderedChat(input: ChatInput, dialect: Dialect): Record<string, unknown> {
  const { tool_choice: _choice, parallel_tool_calls: _parallel, ...rendered } = chat(input, dialect)
  const { templateVariables } = input
  return {
    ...rendered,
    ...(Object.keys(templateVariables).length === 0 ? {} : { chat_template_kwargs: templateVariables }),
  }
}

/** Messages in OpenAI's form, as the engine reads them. Throws `unsupported` for a part that it does not take. */
function encodeMessages(messages: readonly ChatMessage[], dialect: Dialect): readonly Record<string, unknown>[] {
  requireParts(messages, new Set(['text', 'thinking', ...dialect.parts]), `an engine of kind '${dialect.kind}'`)
  return messages.map((message) => encodeMessage(withReasoning(message), dialect))
}

function encodeMessage(message: ChatMessage, dialect: Dialect): Record<string, unknown> {
  return {
    role: message.role,
    content: typeof message.content === 'string' ? message.content : message.content.map(encodePart),
    ...(message.name === undefined ? {} : { name: message.name }),
    ...(message.toolCallId === undefined ? {} : { tool_call_id: message.toolCallId }),
    ...(message.toolCalls === undefined
      ? {}
      : {
          tool_calls: message.toolCalls.map((call) => ({
            id: call.id,
            type: 'function',
            function: { name: call.name, arguments: call.arguments },
          })),
        }),
    ...(message.reasoning === undefined
      ? {}
      : Object.fromEntries(dialect.reasoningFields.map((field) => [field, message.reasoning]))),
  }
}

function encodePart(part: MessagePart): Record<string, unknown> {
  switch (part.kind) {
    case 'text':
    case 'thinking':
      return { type: 'text', text: part.text }
    case 'image': {
      const { url, detail } = part
      return { type: 'image_url', image_url: { url, ...(detail === undefined ? {} : { detail }) } }
    }
    case 'audio':
      return { type: 'input_audio', input_audio: { data: part.data, format: part.format } }
    case 'file': {
      const { data, id, name } = part
      return { type: 'file', file: { file_data: data, file_id: id, filename: name } }
    }
  }
}
