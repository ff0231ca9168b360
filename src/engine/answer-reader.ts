import type { ChatInput, FinishReason, GenerationEvent, GenerationRequest } from '../inference/index.ts'
import {
  createOutputParser,
  type AnswerShape,
  type ChatOutputParser,
  type ChatPiece,
  type RenderedChat,
} from '../model/index.ts'
import type { LoopEvent } from './messages.ts'

/**
 * Turns the loop's events about one request into the language of inference. In a chat, text goes through the model's
 * output parser, which tells answer, thinking and tool calls apart; elsewhere it stays text.
 */
export interface AnswerReader {
  /** The rendered chat; empty for other inputs. */
  readonly prompt: string
  readonly addSpecialTokens: boolean
  /** Texts that end the answer beside the request's own. */
  readonly stop: readonly string[]
  /** What a chat's answer may be made of. */
  readonly answer: AnswerShape | undefined
  /** Special tokens whose text is wanted: by the parser, or to stop at it. */
  readonly shownTexts: readonly string[]
  read(event: LoopEvent): Iterable<GenerationEvent>
}

/** Renders the chat, where there is one. Throws what `render` throws. */
export function createAnswerReader(
  request: GenerationRequest,
  render: (chat: ChatInput) => RenderedChat,
): AnswerReader {
  const chat = request.input.kind === 'chat' ? request.input.chat : undefined
  const rendered = chat === undefined ? undefined : render(chat)
  const parsers = new Map<number, Continuation>()
  const totals = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, reasoningTokens: 0 }
  const parserOf = (index: number): Continuation | undefined => {
    if (chat === undefined || rendered === undefined) return undefined
    let continuation = parsers.get(index)
    if (continuation === undefined) {
      continuation = { parser: createOutputParser(chat, rendered), held: noTokens, called: false }
      parsers.set(index, continuation)
    }
    return continuation
  }
  return {
    prompt: rendered?.prompt ?? '',
    addSpecialTokens: rendered?.addSpecialTokens ?? true,
    stop: rendered?.stop ?? [],
    answer: rendered?.answer,
    // The end of a turn may be a control token; it is matched by its text, and never emitted.
    shownTexts: rendered === undefined ? [] : [...rendered.specialTexts, ...rendered.stop],
    *read(event) {
      switch (event.type) {
        case 'prefilled': {
          totals.promptTokens = event.promptTokens
          totals.cachedTokens = event.cachedTokens
          const { promptTokens, cachedTokens, promptLogprobs } = event
          yield { type: 'prefilled', promptTokens, cachedTokens, ...(promptLogprobs && { promptLogprobs }) }
          return
        }
        case 'output': {
          totals.completionTokens += event.tokens
          const continuation = parserOf(event.index)
          if (continuation === undefined) yield toText(event)
          else {
            continuation.held = addHeld(continuation.held, event)
            yield* give(continuation, event.index, continuation.parser.push(event.text), totals)
          }
          return
        }
        case 'finished': {
          const continuation = parserOf(event.index)
          if (continuation !== undefined) {
            yield* give(continuation, event.index, continuation.parser.end(), totals)
            // Tokens without any text still count, and are billed.
            if (continuation.held.tokens > 0) yield toText({ index: event.index, text: '', ...continuation.held })
          }
          const reason: FinishReason =
            event.reason === 'stop' && continuation?.called === true ? 'toolCalls' : event.reason
          const { index, stopReason } = event
          yield { type: 'finished', index, reason, ...(stopReason !== undefined && { stopReason }) }
          if (event.last) yield { type: 'usage', usage: { ...totals } }
          return
        }
        case 'failed':
          return
      }
    },
  }
}

/** One continuation of a chat, and the tokens whose text its parser still holds back. */
interface Continuation {
  readonly parser: ChatOutputParser
  held: Held
  called: boolean
}

type OutputEvent = Extract<LoopEvent, { type: 'output' }>
type Held = Pick<OutputEvent, 'tokens' | 'logprobs'>

const noTokens: Held = { tokens: 0, logprobs: undefined }

function addHeld(held: Held, { tokens, logprobs }: OutputEvent): Held {
  if (held.logprobs === undefined || logprobs === undefined) {
    return { tokens: held.tokens + tokens, logprobs: logprobs ?? held.logprobs }
  }
  return { tokens: held.tokens + tokens, logprobs: [...held.logprobs, ...logprobs] }
}

/** The first piece accounts for all tokens held until now. */
function* give(
  continuation: Continuation,
  index: number,
  pieces: readonly ChatPiece[],
  totals: { reasoningTokens: number },
): Iterable<GenerationEvent> {
  for (const piece of pieces) {
    const { tokens, logprobs } = continuation.held
    continuation.held = noTokens
    if (piece.type === 'toolCall') {
      continuation.called = true
      yield { ...piece, index, tokens }
      continue
    }
    if (piece.type === 'reasoning') totals.reasoningTokens += tokens
    yield { type: piece.type, index, text: piece.text, tokens, ...(logprobs && { logprobs }) }
  }
}

function toText({ index, text, tokens, logprobs }: Omit<OutputEvent, 'type' | 'key'>): GenerationEvent {
  return { type: 'text', index, text, tokens, ...(logprobs && { logprobs }) }
}
