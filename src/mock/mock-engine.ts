import { onAbort, sleep, type Clock } from '../core/index.ts'
import type {
  EmbeddingRequest,
  EmbeddingResult,
  Engine,
  EngineModel,
  EngineStatus,
  GenerationEvent,
  GenerationRequest,
  TokenizeInput,
} from '../inference/index.ts'
import type { SimulatedEngine } from '../simulation/index.ts'
import { sampleLength } from '../workload/index.ts'
import { strikesWithin, type MockRun } from './mock-run.ts'
import type { MockSettings } from './settings.ts'

export interface MockEngineParts {
  readonly settings: MockSettings
  readonly clock: Clock
  /** By the id that the request came in under; undefined for one that the front has not seen. */
  readonly runOf: (id: string) => MockRun | undefined
}

/**
 * A simulated engine whose answers have the lengths, pauses and usage that the mock draws for them, and that writes down when it gave
 * which tokens. It never fails: the server would mend that, by another try. Failures are wire-faults.ts's.
 */
export class MockEngine implements Engine {
  readonly endpoint: string
  readonly extensions: SimulatedEngine['extensions']
  readonly #engine: SimulatedEngine
  readonly #parts: MockEngineParts

  constructor(engine: SimulatedEngine, parts: MockEngineParts) {
    this.endpoint = engine.endpoint
    this.extensions = engine.extensions
    this.#engine = engine
    this.#parts = parts
  }

  models(): readonly EngineModel[] {
    return this.#engine.models()
  }

  status(): EngineStatus {
    return this.#engine.status()
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.#engine.ready(signal)
  }

  async tokenize(model: string, input: TokenizeInput, signal: AbortSignal): Promise<readonly number[]> {
    return await this.#engine.tokenize(model, input, signal)
  }

  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void> {
    const run = this.#parts.runOf(request.id)
    if (run === undefined) {
      yield* this.#engine.generate(request, signal)
      return
    }
    run.record.model = request.model
    const kind = run.fault?.kind
    const { limit, length } = this.#lengthOf(request, run)
    if (kind === 'empty') {
      yield* this.#emptyAnswer(request, signal)
      return
    }
    const asked = { ...request, maxTokens: length, ignoreEos: true }
    run.strikesAt = Math.max(1, Math.floor(length / 2))
    let tokens = 0
    for await (const event of this.#engine.generate(asked, signal)) {
      if (event.type === 'prefilled') {
        run.record.promptTokens += event.promptTokens
        run.record.cachedTokens += event.cachedTokens ?? 0
      } else if (event.type === 'text') {
        if (strikesWithin(run, tokens, event.tokens)) await this.#strike(run, signal)
        tokens += event.tokens
        run.record.writesMs.push(this.#parts.clock.now())
        run.record.writeTokens.push(event.tokens)
      }
      yield misreported(event, kind === 'wrongUsage', length < limit)
    }
  }

  async embed(request: EmbeddingRequest, signal: AbortSignal): Promise<EmbeddingResult> {
    const run = this.#parts.runOf(request.id)
    const result = await this.#engine.embed(request, signal)
    if (run !== undefined) {
      run.record.model = request.model
      run.record.promptTokens = result.promptTokens
      run.record.writesMs.push(this.#parts.clock.now())
    }
    return result
  }

  async close(): Promise<void> {
    await this.#engine.close()
  }

  #lengthOf(request: GenerationRequest, run: MockRun): { readonly limit: number; readonly length: number } {
    const { outputTokens, defaultOutputTokens } = this.#parts.settings
    const limit = request.maxTokens ?? defaultOutputTokens
    if (outputTokens === undefined || request.ignoreEos) return { limit, length: limit }
    return { limit, length: Math.min(limit, sampleLength(outputTokens, run.random)) }
  }

  /** An answer without a single token. */
  async *#emptyAnswer(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void> {
    const { input, model } = request
    const promptTokens =
      input.kind === 'tokens'
        ? input.tokens.length
        : (await this.tokenize(model, input.kind === 'text' ? { ...input, addSpecialTokens: false } : input, signal))
            .length
    const usage = { promptTokens, cachedTokens: undefined, completionTokens: 0, reasoningTokens: undefined }
    yield { type: 'prefilled', promptTokens, cachedTokens: undefined }
    for (let index = 0; index < request.n; index += 1) yield { type: 'finished', index, reason: 'stop' }
    yield { type: 'usage', usage }
  }

  /** Where the answer stops in its middle: for a while, or until the client leaves. */
  async #strike({ fault }: MockRun, signal: AbortSignal): Promise<void> {
    if (fault?.kind === 'stall') await sleep(fault.stallMs, this.#parts.clock, signal)
    if (fault?.kind === 'hang') await aborted(signal)
  }
}

/** The event as the mock tells it: ten times the usage where that is the fault, and an end of its own before the limit. */
function misreported(event: GenerationEvent, wrongUsage: boolean, ended: boolean): GenerationEvent {
  if (event.type === 'finished' && ended && event.stopReason === undefined) return { ...event, reason: 'stop' }
  if (event.type !== 'usage' || !wrongUsage) return event
  return { ...event, usage: { ...event.usage, completionTokens: 10 * event.usage.completionTokens } }
}

/** Waits until the signal aborts, and throws its error. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    onAbort(signal, reject)
  })
}
