import type { Clock } from '../../core/index.ts'
import type { ChatInput, GenerationRequest } from '../../inference/index.ts'
import type { ChatFormatSource, RenderedChat } from '../../model/index.ts'
import type { EngineOptionValues } from '../options.ts'
import {
  toAnswerShape,
  type AnswerFacts,
  type CompiledConstraint,
  type PreparationData,
  type PreparationResult,
  type PreparationTask,
  type PromptLimit,
  type RenderedFacts,
} from '../preparation-tasks.ts'
import { WorkThread } from '../work-thread.ts'
import { checkConstraintSize } from './constraint-size.ts'

/** A request's chat as text, and the grammar that binds its answer; each undefined where the request has none. */
export interface PreparedRequest {
  readonly rendered: RenderedChat | undefined
  readonly constraint: CompiledConstraint | undefined
}

type Thread = WorkThread<PreparationTask, PreparationResult>

/**
 * Renders chats and compiles what binds answers, in two threads beside the server's: a template, and above all a schema,
 * is a small text that can order seconds of work. Chats do not wait for schemas. Owns the threads until `close`.
 */
export class RequestPreparer {
  readonly #rendering: Thread
  readonly #compiling: Thread
  readonly #maxConstraintBytes: number

  constructor(chat: ChatFormatSource, options: EngineOptionValues, clock: Clock) {
    const data: PreparationData = { chat, maxGrammarBytes: options.maxGrammarBytes }
    const { maxPreparationMs: maxMs, maxPreparationBytes: maxBytes, maxEngineRequests: maxTasks } = options
    const start = (): Thread => new WorkThread('./preparation/thread', data, { maxMs, maxBytes, maxTasks }, clock)
    this.#rendering = start()
    this.#compiling = start()
    this.#maxConstraintBytes = options.maxConstraintBytes
  }

  /** Compiling a template takes tens of milliseconds, which the first request should not pay. A fault is told to the requests that need it. */
  warm(): void {
    void this.#rendering.run({ kind: 'warm' }, new AbortController().signal).catch(() => {})
  }

  /** Throws what the template refuses, what cannot be enforced, and `limit_exceeded`. */
  async prepare(
    request: GenerationRequest,
    limit: PromptLimit | undefined,
    signal: AbortSignal,
  ): Promise<PreparedRequest> {
    const { constraint, input } = request
    const chat = input.kind === 'chat' ? input.chat : undefined
    const binds = constraint !== undefined || (chat !== undefined && chat.tools.length > 0)
    if (binds) checkConstraintSize([constraint, chat?.tools], this.#maxConstraintBytes)
    const facts = chat && (await this.#renderFacts(chat, limit, signal))
    const rendered = facts && toRenderedChat(facts)
    if (!binds) return { rendered, constraint: undefined }
    const tools = chat && { ...chat, messages: [] }
    return { rendered, constraint: await this.#compile(constraint, tools, facts?.answer, signal) }
  }

  async render(chat: ChatInput, signal: AbortSignal): Promise<RenderedChat> {
    checkConstraintSize(chat.tools, this.#maxConstraintBytes)
    return toRenderedChat(await this.#renderFacts(chat, undefined, signal))
  }

  async close(): Promise<void> {
    await Promise.all([this.#rendering.close(), this.#compiling.close()])
  }

  async #renderFacts(chat: ChatInput, limit: PromptLimit | undefined, signal: AbortSignal): Promise<RenderedFacts> {
    return (await this.#rendering.run({ kind: 'render', chat, limit }, signal)) as RenderedFacts
  }

  async #compile(
    constraint: GenerationRequest['constraint'],
    chat: ChatInput | undefined,
    answer: AnswerFacts | undefined,
    signal: AbortSignal,
  ): Promise<CompiledConstraint | undefined> {
    const task = { kind: 'compile', constraint, chat, answer } as const
    return (await this.#compiling.run(task, signal)) as CompiledConstraint | undefined
  }
}

function toRenderedChat(facts: RenderedFacts): RenderedChat {
  return { ...facts, answer: toAnswerShape(facts.answer) }
}
