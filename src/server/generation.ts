import { createId, TokenmillError } from '../core/index.ts'
import {
  extensionNames,
  extensionsOf,
  type Engine,
  type GenerationEvent,
  type GenerationRequest,
  type GenerationTrace,
} from '../inference/index.ts'
import { toFinishReason, type GenerationCall, type GenerationEncoder } from '../protocol/index.ts'
import type { Metrics } from '../telemetry/index.ts'
import type { Exchange } from './exchange.ts'
import type { ModelDirectory, ModelTarget } from './models.ts'

export interface GenerationServices {
  readonly directory: ModelDirectory
  readonly metrics: Metrics
}

/**
 * The way of one generation, once its call is read: resolve → admit → generate → write → end. Everything that it
 * takes is given back on every way out: the permit here, the sequences by the engine when its loop is left.
 */
export async function serveGeneration(
  exchange: Exchange,
  call: GenerationCall,
  idPrefix: string,
  { directory, metrics }: GenerationServices,
): Promise<void> {
  const { account, signal } = exchange
  const target = directory.resolve(call.model)
  const sequences = call.drafts.reduce((sum, draft) => sum + draft.n, 0)
  account.describe({ model: target.name, endpoint: target.engine.endpoint, stream: call.stream, sequences })
  account.observe(metrics.tokens(target.name))
  requireServing(target)

  const { requests, encoder } = await toRequests(exchange, call, idPrefix, target)
  const admitting = target.admission.admit(sequences, signal)
  exchange.begin(encoder, call.stream)
  const permit = await admitting
  try {
    account.admitted(permit.queuedMs)
    account.engineCalled()
    metrics.overhead(target.name, account.overheadMs ?? 0)
    const trace = { placed: (endpoint: string) => account.describe({ endpoint }) }
    const take = (prompt: number, event: GenerationEvent) => {
      account.event(prompt, event)
      if (event.type === 'finished') metrics.choiceFinished(target.name, toFinishReason(event.reason, false))
      const text = encoder.event(prompt, event)
      if (text !== '') exchange.write(text)
      return exchange.congested ? exchange.drained() : undefined
    }
    await generateAll(target.engine, requests, signal, take, trace)
  } finally {
    permit.release()
  }
  await exchange.end(encoder.end())
}

/**
 * A call as an engine takes it: its requests under this exchange's id, and the writer of their answer. `identity` is
 * given where the answer has already begun elsewhere.
 */
export async function toRequests(
  exchange: Exchange,
  call: GenerationCall,
  idPrefix: string,
  target: Pick<ModelTarget, 'name' | 'engine' | 'engineModel'>,
  identity: { readonly id: string; readonly created: number } = {
    id: createId(idPrefix),
    created: Math.floor(Date.now() / 1000),
  },
): Promise<{ readonly requests: readonly GenerationRequest[]; readonly encoder: GenerationEncoder }> {
  requireExtensions(call, target.engine)
  const requests = call.drafts.map((draft, index): GenerationRequest => ({
    ...draft,
    id: index === 0 ? exchange.id : `${exchange.id}.${index}`,
    model: target.engineModel,
  }))
  const encoder = call.encoder({
    id: identity.id,
    created: identity.created,
    model: call.model ?? target.name,
    promptTexts: call.echo ? await promptTexts(requests, target, exchange.signal) : undefined,
  })
  return { requests, encoder }
}

/** Takes each event in order; a returned promise is awaited before more is asked of that generation. */
export type TakeEvent = (prompt: number, event: GenerationEvent) => Promise<void> | undefined

/** Runs all requests at once. The first that fails ends the others. */
export async function generateAll(
  engine: Engine,
  requests: readonly GenerationRequest[],
  signal: AbortSignal,
  take: TakeEvent,
  trace?: GenerationTrace,
): Promise<void> {
  const [only] = requests
  if (only !== undefined && requests.length === 1) {
    await generateOne(engine, only, 0, signal, take, trace)
    return
  }
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const results = await Promise.allSettled(
    requests.map(async (request, prompt) => {
      try {
        await generateOne(engine, request, prompt, either, take, trace)
      } catch (error) {
        failed.abort(error)
        throw error
      }
    }),
  )
  if (failed.signal.aborted) throw failed.signal.reason
  const rejected = results.find((result) => result.status === 'rejected')
  if (rejected !== undefined) throw rejected.reason
}

async function generateOne(
  engine: Engine,
  request: GenerationRequest,
  prompt: number,
  signal: AbortSignal,
  take: TakeEvent,
  trace: GenerationTrace | undefined,
): Promise<void> {
  for await (const event of engine.generate(request, signal, trace)) {
    const wait = take(prompt, event)
    if (wait !== undefined) await wait
  }
}

/** Refuses what the engine would leave out silently. */
function requireExtensions({ drafts }: GenerationCall, { extensions, endpoint }: Engine): void {
  for (const field of drafts.flatMap(extensionsOf)) {
    if (extensions?.has(field)) continue
    const param = extensionNames[field]
    const text = `${param} is not supported by ${endpoint}. Leave it out, or ask a model whose engine knows it: vLLM, SGLang, trtllm-serve, Tokenmill's own.`
    throw new TokenmillError('unsupported', text, { param })
  }
}

/** A model that has never loaded cannot serve; one that restarts or was unloaded makes the request wait instead. */
function requireServing(target: ModelTarget): void {
  const { state } = target.engine.status()
  if (state !== 'loading' && state !== 'unavailable' && state !== 'closed') return
  const retryAfterMs = 1000
  throw new TokenmillError(
    'unavailable',
    `The model '${target.name}' cannot serve now: it is ${state}. Retry in 1 s.`,
    {
      retryAfterMs,
    },
  )
}

/** The prompts as text, for an answer that repeats them. */
async function promptTexts(
  requests: readonly GenerationRequest[],
  { engine, engineModel }: Pick<ModelTarget, 'engine' | 'engineModel'>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return await Promise.all(
    requests.map(async ({ input }) => {
      if (input.kind === 'text') return input.text
      if (input.kind === 'chat') throw new Error('A chat is never echoed.')
      if (engine.detokenize === undefined) {
        throw new TokenmillError(
          'unsupported',
          'echo with token ids is not supported: this engine cannot detokenize.',
          {
            param: 'echo',
          },
        )
      }
      return await engine.detokenize(engineModel, input.tokens, signal)
    }),
  )
}
