import type { FinishReason, GenerationEvent, GenerationRequest } from '../../inference/index.ts'
import { AnswerEvents, type AnswerShape, type RenderedChat } from '../../model/index.ts'
import type { LoopEvent, QuietMarks } from '../messages.ts'

/**
 * Turns the loop's events about one request into the language of inference. In a chat, text goes through the model's
 * output parser, which tells answer, thinking and tool calls apart; elsewhere it stays text.
 */
export interface AnswerReader {
  /** The rendered chat; empty for other inputs. */
  readonly prompt: string
  readonly addSpecialTokens: boolean
  readonly inputRanges: readonly number[]
  /** Texts that end the answer beside the request's own. */
  readonly stop: readonly string[]
  /** Where the request's own do not count. */
  readonly quiet: QuietMarks | undefined
  /** What a chat's answer may be made of. */
  readonly answer: AnswerShape | undefined
  /** Special tokens whose text is wanted: by the parser, or to stop at it. */
  readonly shownTexts: readonly string[]
  /** `unenforced`: what the request's grammar does not hold, told with the prompt. */
  read(event: LoopEvent, unenforced?: readonly string[]): Iterable<GenerationEvent>
}

/** `rendered`: the request's chat, where it is one. */
export function createAnswerReader(request: GenerationRequest, rendered: RenderedChat | undefined): AnswerReader {
  const chat = request.input.kind === 'chat' ? request.input.chat : undefined
  const answers = new Map<number, AnswerEvents>()
  const totals = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, reasoningTokens: 0 }
  const answerOf = (index: number): AnswerEvents => {
    const known = answers.get(index)
    if (known !== undefined) return known
    const parsed = chat === undefined || rendered === undefined ? undefined : { input: chat, answer: rendered.answer }
    const fresh = new AnswerEvents(index, parsed)
    answers.set(index, fresh)
    return fresh
  }
  return {
    prompt: rendered?.prompt ?? '',
    addSpecialTokens: rendered?.addSpecialTokens ?? true,
    inputRanges: rendered?.inputRanges ?? [],
    stop: rendered?.stop ?? [],
    quiet: rendered && quietMarks(rendered.answer),
    answer: rendered?.answer,
    // The end of a turn may be a control token; it is matched by its text, and never emitted.
    shownTexts: rendered === undefined ? [] : [...rendered.specialTexts, ...rendered.stop],
    *read(event, unenforced = []) {
      switch (event.type) {
        case 'prefilled': {
          totals.promptTokens = event.promptTokens
          totals.cachedTokens = event.cachedTokens
          const { promptTokens, cachedTokens, promptLogprobs } = event
          yield {
            type: 'prefilled',
            promptTokens,
            cachedTokens,
            ...(promptLogprobs && { promptLogprobs }),
            ...(unenforced.length > 0 && { unenforced }),
          }
          return
        }
        case 'output':
          totals.completionTokens += event.tokens
          yield* answerOf(event.index).push(event)
          return
        case 'finished': {
          const answer = answerOf(event.index)
          const { index, stopReason } = event
          // The template's own end of a turn is no stop text of the client's.
          const told = typeof stopReason === 'number' || (stopReason !== undefined && request.stop.includes(stopReason))
          yield* answer.end(told || event.reason === 'length')
          totals.reasoningTokens += answer.reasoningTokens
          const calls = event.reason === 'stop' && answer.called && (!told || answer.callIsWhole)
          const reason: FinishReason = calls ? 'toolCalls' : event.reason
          yield { type: 'finished', index, reason, ...(told && { stopReason }) }
          if (event.last) yield { type: 'usage', usage: { ...totals } }
          return
        }
        case 'failed':
          return
      }
    },
  }
}

/** Stop texts apply to content: not to thinking, nor to what comes before gpt-oss's final message. */
function quietMarks({ convention, thinking, opening }: AnswerShape): QuietMarks | undefined {
  if (thinking !== undefined) return { ...thinking.marks, opened: thinking.opened }
  const final = convention.syntax.textOpen
  if (convention.thinking !== 'read' || opening.includes('<|message|>')) return undefined
  return { open: '', close: final, opened: true }
}
