import type { ArrivalProcess, Stage, TraceRequest, WordTokens } from '../workload/index.ts'
import type { Objectives } from './metrics/objectives.ts'

/** Where requests go and how they are written. */
export interface Target {
  /** Base URL, without a slash behind its path; a query string stays. */
  readonly url: string
  readonly model: string
  readonly api: 'chat' | 'completion' | 'embedding'
  readonly stream: boolean
  readonly headers: Readonly<Record<string, string>>
  /** Fields merged into every body, over ours. */
  readonly extraBody: Readonly<Record<string, unknown>>
  /** Ask the server to generate exactly max_tokens (`ignore_eos`, of vLLM, SGLang, llama.cpp and Tokenmill). */
  readonly ignoreEos: boolean
  /** Ask streams to end with their usage (`stream_options`). */
  readonly includeUsage: boolean
  /** The field that limits an answer: `max_tokens`, or `max_completion_tokens` of models that think. */
  readonly maxTokensField: string
}

/** A kind of request with its own lengths and objectives. */
export interface RequestClass {
  readonly name: string
  /** Part of all requests; the shares of all classes sum to 1. */
  readonly share: number
  /** Distributions as text, so that a plan can cross to a worker thread. */
  readonly promptTokens: string
  readonly outputTokens: string
  readonly objectives: Objectives
}

export type LoadShape =
  /** Users who each wait for their answer, think, and ask again. */
  | {
      readonly kind: 'closed'
      readonly users: readonly Stage[]
      /** Distribution in ms, as text. */
      readonly thinkMs: string
      /** Users begin spread over this time, not all at once. */
      readonly staggerMs: number
    }
  /** Requests that arrive whether or not earlier ones were answered. */
  | {
      readonly kind: 'open'
      readonly process: ArrivalProcess
      readonly rates: readonly Stage[]
      /** At most so many at once; more wait at the client, and their wait counts as latency. */
      readonly maxConcurrency: number
    }
  /** Requests at recorded times. */
  | { readonly kind: 'trace'; readonly requests: readonly TraceRequest[]; readonly speed: number }

export interface LoadPlan {
  readonly target: Target
  readonly seed: number
  /** Seed of the texts alone: runs of equal seeds against one server must not find each other's prompts in its cache. */
  readonly textSeed: number
  readonly shape: LoadShape
  readonly classes: readonly RequestClass[]
  readonly words: WordTokens
  /** Part of each prompt, 0 to 1, that is one of `sharedPrefixes` texts. */
  readonly sharedShare: number
  readonly sharedPrefixes: number
  /** Requests in a conversation, each carrying the answers before it. */
  readonly turns: number
  /** Pause between an answer and the next turn: distribution in ms, as text. */
  readonly turnPauseMs: string
  /** Requests in all; Infinity: until the duration ends. */
  readonly maxRequests: number
  readonly durationMs: number
  readonly timeoutMs: number
  readonly drainMs: number
  readonly maxInFlight: number
  readonly maxEventBytes: number
  readonly failurePauseMs: number
}

/** Most users at once, or the cap of an open loop: what memory grows with. */
export function peakConcurrency(plan: LoadPlan): number {
  const { shape } = plan
  if (shape.kind === 'closed') return Math.ceil(Math.max(...shape.users.map((stage) => Math.max(stage.from, stage.to))))
  return shape.kind === 'open' ? Math.min(plan.maxInFlight, shape.maxConcurrency) : plan.maxInFlight
}
