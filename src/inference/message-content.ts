import { TokenmillError } from '../core/index.ts'
import type { ChatMessage } from './request.ts'

/** What a message holds: plain text where it is no more than that, else its parts in the client's order. */
export type MessageContent = string | readonly MessagePart[]

export type MessagePart = TextPart | ImagePart | AudioPart | FilePart | ThinkingPart

export interface TextPart {
  readonly kind: 'text'
  readonly text: string
}

export interface ImagePart {
  readonly kind: 'image'
  /** `https:` or `data:`. */
  readonly url: string
  /** How closely to look: `low`, `high`, `auto`. */
  readonly detail?: string
}

export interface AudioPart {
  readonly kind: 'audio'
  /** Base64. */
  readonly data: string
  /** `wav`, `mp3`, … */
  readonly format: string
}

/** A document: its bytes as a `data:` URL, or the id of an uploaded file. */
export interface FilePart {
  readonly kind: 'file'
  readonly data?: string
  readonly id?: string
  readonly name?: string
}

/** The model's earlier thinking, as a part of its message. */
export interface ThinkingPart {
  readonly kind: 'thinking'
  readonly text: string
  /** Proof of origin by whoever served the thinking. */
  readonly signature?: string
}

/** A message of text alone: what a chat template can render. */
export type TextMessage = ChatMessage & { readonly content: string }

/** The text of a content: its text parts joined, other parts left out. */
export function textOf(content: MessageContent): string {
  if (typeof content === 'string') return content
  return content.map((part) => (part.kind === 'text' ? part.text : '')).join('')
}

/** The content with `text` behind it. */
export function appendText(content: MessageContent, text: string): MessageContent {
  return typeof content === 'string' ? content + text : [...content, { kind: 'text', text }]
}

/** The message with its thinking parts moved to `reasoning`, for engines that read thinking there. */
export function withReasoning(message: ChatMessage): ChatMessage {
  const { content } = message
  if (typeof content === 'string' || !content.some(({ kind }) => kind === 'thinking')) return message
  const thoughts = content.flatMap((part) => (part.kind === 'thinking' ? [part.text] : []))
  const reasoning = [message.reasoning ?? '', ...thoughts].filter((text) => text !== '').join('\n')
  const rest = content.filter(({ kind }) => kind !== 'thinking')
  return {
    ...message,
    ...(reasoning === '' ? {} : { reasoning }),
    content: rest.every(({ kind }) => kind === 'text') ? textOf(rest) : rest,
  }
}

/**
 * Throws `unsupported` for the first part of a kind that is not in `kinds`, and names it: `messages[2].content[1]`.
 * `taker` stands in the sentence: `the model takes parts of kind …`.
 */
export function requireParts(
  messages: readonly ChatMessage[],
  kinds: ReadonlySet<MessagePart['kind']>,
  taker: string,
): void {
  messages.forEach(({ content }, at) => {
    if (typeof content === 'string') return
    content.forEach(({ kind }, partAt) => {
      if (kinds.has(kind)) return
      const param = `messages[${at}].content[${partAt}]`
      const taken = [...kinds].filter((taken) => taken !== 'thinking').join(', ')
      throw new TokenmillError(
        'unsupported',
        `${param} is not supported: ${taker} takes parts of kind ${taken}, not ${kind}.`,
        {
          param,
        },
      )
    })
  })
}

const textKinds: ReadonlySet<MessagePart['kind']> = new Set(['text', 'thinking'])

/** The messages as text, thinking in `reasoning`. Throws `unsupported` for any other part, see `requireParts`. */
export function toTextMessages(messages: readonly ChatMessage[]): readonly TextMessage[] {
  requireParts(messages, textKinds, 'the model')
  return messages.map((message) => {
    const { content, ...rest } = withReasoning(message)
    return { ...rest, content: textOf(content) }
  })
}
