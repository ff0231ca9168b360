import { systemClock, TokenmillError, type Clock } from '../core/index.ts'
import { toTextMessages, type ChatInput, type ToolDefinition } from '../inference/index.ts'
import type { AnswerShape } from './answer/answer-shape.ts'
import type { CallConvention } from './answer/call-convention.ts'
import { conventionOf } from './answer/conventions.ts'
import { generic } from './answer/families.ts'
import { endsInThinking, thinkingMarksOf, type ThinkingMarks } from './answer/thinking.ts'
import { compileChatTemplate, type ChatTemplate } from './chat-template.ts'
import { plain, slice, toText, type Callable, type Ranges, type Text } from './jinja/index.ts'
import { templates } from './named-templates.ts'
import { toTemplateMessages } from './template-messages.ts'
import { inferConvention } from './inferred-convention.ts'
import { toTemplateTool } from './tool-instructions.ts'
import { toStrftime } from './strftime.ts'
import { TemplateProbe } from './template-probe.ts'
import { probeTemplate, type TemplateTraits } from './template-traits.ts'

/** What a model says of its conversations: from GGUF metadata or tokenizer_config.json. */
export interface ChatFormatSource {
  /** Jinja; undefined for a base model, which then refuses chats. */
  readonly chatTemplate: string | undefined
  /** A template of its own for conversations with tools, where the model has two. */
  readonly toolTemplate?: string | undefined
  /** Text of the beginning- and end-of-sequence tokens; undefined where the vocabulary has none. */
  readonly bosToken: string | undefined
  readonly eosToken: string | undefined
}

/** How one model writes conversations into a prompt, and its answers into text. Made once per model. */
export interface ChatFormat {
  /** Throws `invalid_request` for messages that the template refuses, `unsupported` for a model without one. */
  render(chat: ChatInput): RenderedChat
  /** Name of the convention by which the model writes tool calls: `hermes`, `harmony`, …; undefined without a template. */
  readonly convention: string | undefined
}

export interface RenderedChat {
  /** The prompt. Special tokens stand in it as their texts: tokenise with special tokens parsed, but for `inputRanges`. */
  readonly prompt: string
  /** Where in the prompt text of the client stands: no special token may come of it. Pairs of start and end, in UTF-16 units. */
  readonly inputRanges: Ranges
  /**
   * Whether the tokenizer shall add its own tokens (BOS) where its vocabulary asks for them. False when the
   * template has written BOS already.
   */
  readonly addSpecialTokens: boolean
  /** Texts that end the turn beside the vocabulary's end-of-generation tokens. Not emitted. */
  readonly stop: readonly string[]
  /**
   * Texts of special tokens that the output must show, because the parser reads them (`<tool_call>`,
   * `<|channel|>`). Every other special token stays invisible, as always.
   */
  readonly specialTexts: readonly string[]
  /** What the answer may be made of: for its parser and its grammar. */
  readonly answer: AnswerShape
}

/** Compiles the template and finds out what it expects. Throws for a template that cannot be compiled. */
export function createChatFormat(source: ChatFormatSource, clock: Clock = systemClock): ChatFormat {
  if (source.chatTemplate === undefined) return { render: refuseChat, convention: undefined }
  const fixed = {
    bos_token: source.bosToken ?? '',
    eos_token: source.eosToken ?? '',
    strftime_now: (({ positional: [format] }) =>
      toStrftime(format === undefined ? '' : plain(toText(format)), new Date(clock.wallTimeMs()))) satisfies Callable,
  }
  const basic = prepare(source.chatTemplate, fixed)
  const withTools = source.toolTemplate === undefined ? basic : prepare(source.toolTemplate, fixed)
  return {
    convention: withTools.convention.name,
    render(chat) {
      const form = toolsOffered(chat).length === 0 ? basic : withTools
      const rendered = renderPrompt(form, fixed, chat)
      const prompt = plain(rendered)
      const answer = answerShapeOf(form, chat, prompt)
      const { turnEnd } = form.traits
      return {
        prompt,
        inputRanges: typeof rendered === 'string' ? [] : rendered.input,
        addSpecialTokens: !source.bosToken || !prompt.startsWith(source.bosToken),
        stop: turnEnd === '' || turnEnd === source.eosToken ? [] : [turnEnd],
        specialTexts: [
          ...(answer.readsCalls ? form.convention.specialTexts : []),
          ...(answer.thinking === undefined ? [] : Object.values(answer.thinking.marks)),
        ],
        answer,
      }
    },
  }
}

interface PreparedTemplate {
  readonly template: ChatTemplate
  readonly traits: TemplateTraits
  readonly convention: CallConvention
  readonly thinking: ThinkingMarks | undefined
}

function prepare(source: string, fixed: Readonly<Record<string, unknown>>): PreparedTemplate {
  const template = compileChatTemplate(source)
  const convention =
    conventionOf(source) ??
    inferConvention((messages) => new TemplateProbe(template, fixed).render(messages)) ??
    generic
  return {
    template,
    convention,
    traits: probeTemplate(template, fixed),
    thinking: convention.thinking === 'read' ? undefined : (convention.thinking ?? thinkingMarksOf(source)),
  }
}

function answerShapeOf(form: PreparedTemplate, chat: ChatInput, prompt: string): AnswerShape {
  const { convention, thinking } = form
  const begun = convention.always ? prompt.slice(prompt.lastIndexOf(turnStart) + turnStart.length) : ''
  return {
    convention,
    readsCalls: convention.always || toolsOffered(chat).length > 0,
    thinking: thinking && { marks: thinking, opened: endsInThinking(prompt, thinking, chat.continueFinalMessage) },
    opening: convention.always && prompt.includes(turnStart) ? begun : '',
  }
}

/** How gpt-oss begins a turn; what follows it in the prompt is the head of the answer. */
const turnStart = '<|start|>assistant'

/** A tool that may not be called is not shown either. */
function toolsOffered(chat: ChatInput): readonly ToolDefinition[] {
  return chat.toolChoice.kind === 'none' ? [] : chat.tools
}

/**
 * Where the text of a continued message ends, whatever the template puts behind it. A private-use character:
 * it stands in no vocabulary, and templates pass it on.
 */
const continuationMark = '\u{F8FE}'

function renderPrompt(
  { template, traits, convention }: PreparedTemplate,
  fixed: Readonly<Record<string, unknown>>,
  chat: ChatInput,
): Text {
  const continued = chat.continueFinalMessage
  if (continued && chat.messages.at(-1)?.role !== 'assistant') {
    throw new TokenmillError(
      'invalid_request',
      'Continuing the final message needs a final message with role "assistant"; the last one has another role.',
      { param: 'messages' },
    )
  }
  const tools = toolsOffered(chat)
  const shownByTemplate = traits.tools && convention.templateShowsTools
  const messages = toTemplateMessages(
    toTextMessages(chat.messages),
    traits,
    convention,
    shownByTemplate ? [] : tools,
    continued ? continuationMark : '',
  )
  const prompt = template.render(
    {
      ...toThinkingVariables(chat.reasoningEffort),
      ...chat.templateVariables,
      messages,
      tools: shownByTemplate && tools.length > 0 ? tools.map(toTemplateTool) : traits.noTools,
    },
    { ...fixed, add_generation_prompt: !continued },
  )
  if (!continued) return prompt
  const end = plain(prompt).lastIndexOf(continuationMark)
  if (end < 0) {
    throw new TokenmillError('unsupported', 'The chat template of this model cannot continue a final message.', {
      param: 'continue_final_message',
    })
  }
  return slice(prompt, 0, end)
}

/** `reasoning_effort` in the variables of the known templates: gpt-oss reads the word, Qwen and DeepSeek a switch. */
function toThinkingVariables(effort: string | undefined): Readonly<Record<string, unknown>> {
  if (effort === undefined) return {}
  const thinks = effort !== 'none'
  return { enable_thinking: thinks, thinking: thinks, ...(thinks && { reasoning_effort: effort }) }
}

function refuseChat(): never {
  throw new TokenmillError(
    'unsupported',
    'This model has no chat template, so it cannot chat. Use /v1/completions, or serve it with --chat-template: ' +
      `a file of Jinja, or one of ${[...templates.keys()].join(', ')}.`,
    { param: 'messages' },
  )
}
