import type { FinishReason, GenerationEvent, TokenLogprobs, TokenUsage } from '../../inference/index.ts'
import type { AnswerIdentity, GenerationEncoder } from '../generation-call.ts'
import { addUsage, toOpenAiUsage } from '../usage.ts'
import type { CompletionManner } from './completion-request.ts'
import { toFinishReason } from './finish-reason.ts'
import { echoOffset, toCompletionLogprobs } from './logprobs.ts'

/** Gathers the events of all prompts into one `text_completion` object; keeps the best where best_of asks for it. */
export class CompletionAnswerEncoder implements GenerationEncoder {
  readonly #identity: AnswerIdentity
  readonly #manner: CompletionManner
  readonly #prompts: PromptAnswer[]

  constructor(identity: AnswerIdentity, manner: CompletionManner, prompts: number) {
    this.#identity = identity
    this.#manner = manner
    this.#prompts = Array.from({ length: prompts }, () => ({ candidates: [], echoed: [], usage: undefined }))
  }

  event(prompt: number, event: GenerationEvent): string {
    const answer = this.#prompts[prompt]
    if (answer === undefined) return ''
    switch (event.type) {
      case 'prefilled':
        answer.echoed = event.promptLogprobs ?? []
        return ''
      case 'usage':
        answer.usage = event.usage
        return ''
      case 'text':
      case 'reasoning': {
        const candidate = candidateOf(answer, event.index)
        candidate.text += event.text
        if (event.logprobs !== undefined) candidate.logprobs.push(...event.logprobs)
        return ''
      }
      case 'toolCall':
        candidateOf(answer, event.index).text += event.arguments
        return ''
      case 'finished': {
        const candidate = candidateOf(answer, event.index)
        candidate.finished = event.reason
        candidate.stopReason = event.stopReason ?? null
        return ''
      }
    }
  }

  end(): string {
    const { id, created, model, fingerprint, promptTexts } = this.#identity
    const choices = this.#prompts.flatMap((answer, prompt) =>
      best(answer.candidates, this.#manner.choices).map((candidate, position) => ({
        index: prompt * this.#manner.choices + position,
        text: (this.#manner.echo ? (promptTexts?.[prompt] ?? '') : '') + candidate.text,
        logprobs: this.#manner.showLogprobs
          ? toCompletionLogprobs(
              [...answer.echoed, ...candidate.logprobs],
              echoOffset(this.#manner.echo ? (promptTexts?.[prompt] ?? '') : '', answer.echoed),
            )
          : null,
        finish_reason: toFinishReason(candidate.finished, false),
        stop_reason: candidate.stopReason,
      })),
    )
    const usages = this.#prompts.map((answer) => answer.usage).filter((usage) => usage !== undefined)
    const usage = usages.length === 0 ? nothing : usages.reduce(addUsage)
    return JSON.stringify({
      id,
      object: 'text_completion',
      created,
      model,
      system_fingerprint: fingerprint,
      choices,
      usage: toOpenAiUsage(usage),
    })
  }
}

interface PromptAnswer {
  readonly candidates: Candidate[]
  /** Logprobs of the prompt's own tokens, where echo asks for them. */
  echoed: readonly TokenLogprobs[]
  usage: TokenUsage | undefined
}

interface Candidate {
  text: string
  readonly logprobs: TokenLogprobs[]
  finished: FinishReason
  stopReason: string | number | null
}

const nothing: TokenUsage = {
  promptTokens: 0,
  cachedTokens: undefined,
  completionTokens: 0,
  reasoningTokens: undefined,
}

function candidateOf(answer: PromptAnswer, index: number): Candidate {
  return (answer.candidates[index] ??= { text: '', logprobs: [], finished: 'stop', stopReason: null })
}

/** The `count` candidates with the highest mean log-probability a token, OpenAI's measure for best_of; best first. */
function best(candidates: readonly Candidate[], count: number): readonly Candidate[] {
  if (candidates.length <= count) return candidates
  return candidates.toSorted((a, b) => meanLogprob(b) - meanLogprob(a)).slice(0, count)
}

function meanLogprob(candidate: Candidate): number {
  const sum = candidate.logprobs.reduce((total, each) => total + each.token.logprob, 0)
  return candidate.logprobs.length === 0 ? -Infinity : sum / candidate.logprobs.length
}
