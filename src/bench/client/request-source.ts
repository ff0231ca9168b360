import { createRandom, type Random } from '../../core/index.ts'
import {
  deriveSeed,
  parseDistribution,
  PromptText,
  sampleLength,
  type Distribution,
  type TraceMessage,
  type TraceRequest,
} from '../../workload/index.ts'
import type { LoadPlan, LoadShape } from '../plan.ts'

/** One request, ready to be sent. */
export interface PlannedRequest {
  readonly id: string
  readonly session: number
  readonly turn: number
  readonly classIndex: number
  readonly promptTokens: number
  readonly outputTokens: number
  readonly body: string
}

/** A conversation under way: ask for the next turn, then tell what was answered. */
export interface Session {
  readonly number: number
  readonly turns: number
  next(): PlannedRequest
  answered(text: string): void
  /** When the next turn is due, where the answer to the one before ended at a time. */
  nextDueMs(lastEndMs: number): number
}

/**
 * Writes every request of a run from its number: the same plan and number give the same bytes, in whichever
 * worker and order they are made.
 */
export class RequestSource {
  readonly #plan: LoadPlan
  readonly #text: PromptText
  readonly #turnPause: Distribution
  readonly #lengths: readonly { readonly prompt: Distribution; readonly output: Distribution }[]
  /** Requests of each conversation of a trace, in the order of their first request. */
  readonly #trace: readonly (readonly TraceRequest[])[]

  constructor(plan: LoadPlan) {
    this.#plan = plan
    this.#text = new PromptText(plan.textSeed, plan.words)
    this.#turnPause = parseDistribution(plan.turnPauseMs)
    this.#lengths = plan.classes.map((each) => ({
      prompt: parseDistribution(each.promptTokens),
      output: parseDistribution(each.outputTokens),
    }))
    this.#trace = plan.shape.kind === 'trace' ? groupSessions(toReplayTimes(plan.shape)) : []
  }

  /** Start of each conversation of the trace, in ms after the run's beginning. */
  traceTimesMs(): number[] {
    return this.#trace.map((requests) => requests[0]?.atMs ?? 0)
  }

  session(number: number): Session {
    const traced = this.#trace[number]
    return traced === undefined ? this.#drawnSession(number) : this.#tracedSession(number, traced)
  }

  #drawnSession(number: number): Session {
    const { plan, random } = { plan: this.#plan, random: createRandom(deriveSeed(this.#plan.seed, number)) }
    const classIndex = drawClass(plan, random)
    const lengths = this.#lengths[classIndex]
    const pauses = createRandom(deriveSeed(plan.seed ^ 0x7475_726e, number))
    const history: TraceMessage[] = []
    let turn = 0
    const write = (promptTokens: number): string => {
      const stream = number * plan.turns + turn
      const sharedTokens = turn === 0 ? Math.round(promptTokens * plan.sharedShare) : 0
      const own = promptTokens - sharedTokens
      const prefix =
        sharedTokens > 0 ? `${this.#text.shared(Math.floor(random() * plan.sharedPrefixes), sharedTokens)} ` : ''
      return own > 0 ? `${prefix}${this.#text.unique(stream, own)}` : prefix.trimEnd()
    }
    return {
      number,
      turns: plan.turns,
      next: () => {
        const promptTokens = lengths === undefined ? 1 : sampleLength(lengths.prompt, random)
        const outputTokens = lengths === undefined ? 1 : sampleLength(lengths.output, random)
        history.push({ role: 'user', content: write(promptTokens) })
        const planned = this.#planned(number, turn, classIndex, promptTokens, outputTokens, history)
        turn += 1
        return planned
      },
      answered: (text) => history.push({ role: 'assistant', content: text }),
      nextDueMs: (lastEndMs) => lastEndMs + this.#turnPause.sample(pauses),
    }
  }

  #tracedSession(number: number, requests: readonly TraceRequest[]): Session {
    const { plan } = { plan: this.#plan }
    const classIndex = drawClass(plan, createRandom(deriveSeed(plan.seed, number)))
    const history: TraceMessage[] = []
    let turn = 0
    return {
      number,
      turns: requests.length,
      next: () => {
        const request = requests[turn]
        const promptTokens = Math.max(1, request?.promptTokens ?? 1)
        const content =
          request?.prompt ??
          (request?.blocks === undefined
            ? this.#text.unique(number * 4096 + turn, promptTokens)
            : this.#text.blocks(request.blocks, promptTokens, request.blockTokens))
        history.push({ role: 'user', content })
        // A trace with block identities states whole prompts: its turns carry their history in their blocks.
        const own = request?.blocks === undefined ? history : history.slice(-1)
        const messages = request?.messages ?? own
        const outputTokens = Math.max(1, request?.outputTokens ?? 1)
        const planned = this.#planned(number, turn, classIndex, promptTokens, outputTokens, messages)
        turn += 1
        return planned
      },
      answered: (text) => history.push({ role: 'assistant', content: text }),
      nextDueMs: (lastEndMs) => {
        const { pauseMs, atMs = 0 } = requests[turn] ?? {}
        return pauseMs === undefined ? Math.max(lastEndMs, atMs) : lastEndMs + pauseMs
      },
    }
  }

  #planned(
    session: number,
    turn: number,
    classIndex: number,
    promptTokens: number,
    outputTokens: number,
    messages: readonly TraceMessage[],
  ): PlannedRequest {
    const body = requestBody(this.#plan, messages, outputTokens)
    const id = `bench-${this.#plan.seed}-${session}-${turn}`
    return { id, session, turn, classIndex, promptTokens, outputTokens, body: JSON.stringify(body) }
  }
}

/** The body of a request in the API's terms; `extraBody` has the last word. */
export function requestBody(
  plan: Pick<LoadPlan, 'target'>,
  messages: readonly TraceMessage[],
  outputTokens: number,
): Record<string, unknown> {
  const { api, model, stream, ignoreEos, includeUsage, maxTokensField, extraBody } = plan.target
  const text = messages.map((message) => message.content).join('\n')
  if (api === 'embedding') return { model, input: text, encoding_format: 'float', ...extraBody }
  return {
    model,
    ...(api === 'chat' ? { messages } : { prompt: text }),
    [maxTokensField]: outputTokens,
    ...(stream ? { stream: true } : {}),
    ...(stream && includeUsage ? { stream_options: { include_usage: true } } : {}),
    ...(ignoreEos ? { ignore_eos: true } : {}),
    ...extraBody,
  }
}

function drawClass(plan: LoadPlan, random: Random): number {
  let draw = random()
  for (const [index, each] of plan.classes.entries()) {
    if (draw < each.share) return index
    draw -= each.share
  }
  return plan.classes.length - 1
}

/** The trace's requests with their times and pauses as they are replayed. */
function toReplayTimes({ requests, speed }: Extract<LoadShape, { readonly kind: 'trace' }>): TraceRequest[] {
  return requests.map((request) => {
    const { atMs, pauseMs } = request
    const replayed = { atMs: atMs / speed, pauseMs: pauseMs === undefined ? undefined : pauseMs / speed }
    return Object.assign({}, request, replayed)
  })
}

function groupSessions(requests: readonly TraceRequest[]): TraceRequest[][] {
  const groups = new Map<string, TraceRequest[]>()
  const order: TraceRequest[][] = []
  for (const request of requests) {
    const known = request.session === undefined ? undefined : groups.get(request.session)
    if (known !== undefined) {
      known.push(request)
      continue
    }
    const group = [request]
    order.push(group)
    if (request.session !== undefined) groups.set(request.session, group)
  }
  return order
}
