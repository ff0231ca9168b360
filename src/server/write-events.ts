import { createId, linkedController, TokenmillError } from '../core/index.ts'
import type { Engine, GenerationEvent, GenerationRequest } from '../inference/index.ts'
import {
  escapeLineEnds,
  toFinishReason,
  type AnswerIdentity,
  type GenerationCall,
  type GenerationEncoder,
} from '../protocol/index.ts'
import type { Attempt } from '../scheduler/index.ts'
import type { Metrics } from '../telemetry/index.ts'
import type { Exchange } from './exchange.ts'

/** Where the events of one attempt go. */
export interface EventSink {
  readonly exchange: Exchange
  readonly metrics: Metrics
  readonly encoder: GenerationEncoder
  /** Events are written as they come, not at the end alone. */
  readonly stream: boolean
  /** What an event becomes before it is counted and written; undefined: nothing. */
  readonly map?: (event: GenerationEvent) => GenerationEvent | undefined
}

/**
 * The loop of every generation that comes as events: event → account → encode → write → drain. Until the first output
 * nothing goes out, so that another replica may be tried. Returns the text that is left to write at the end.
 */
export async function writeEvents(
  attempt: Attempt,
  requests: readonly GenerationRequest[],
  { exchange, metrics, encoder, stream, map }: EventSink,
): Promise<string> {
  const { account } = exchange
  const model = attempt.route.name
  let committed = false
  let held = ''
  const take = (prompt: number, told: GenerationEvent): Promise<void> | undefined => {
    const event = map === undefined ? told : map(told)
    if (event === undefined) return undefined
    account.event(prompt, event)
    if (event.type === 'prefilled' && event.unenforced !== undefined) {
      exchange.setHeader('x-tokenmill-unenforced', toHeaderValue(event.unenforced))
    }
    if (event.type === 'finished') metrics.choiceFinished(model, toFinishReason(event.reason, false))
    held += encoder.event(prompt, event)
    if (!committed && isOutput(event)) {
      committed = true
      attempt.commit()
    }
    if (!committed || !stream || held === '') return undefined
    exchange.write(escapeLineEnds(held))
    held = ''
    return exchange.congested ? exchange.drained() : undefined
  }
  await generateAll(attempt.engine, requests, attempt.signal, take)
  const rest = held + encoder.end()
  return stream ? escapeLineEnds(rest) : rest
}

/** Names in it are the client's: what no header can hold is shown as `?`, and the list is cut where it grows long. */
function toHeaderValue(entries: readonly string[]): string {
  return entries
    .join(', ')
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, maxHeaderCharacters)
}

/** Proxies refuse heads of more than 8 kB in all. */
const maxHeaderCharacters = 2048

/** The requests of a call, as the attempt's engine takes them. The exchange's id is that of the first. */
export function toRequests({ drafts }: GenerationCall, id: string, engineModel: string): readonly GenerationRequest[] {
  return drafts.map((draft, index) => ({ ...draft, id: index === 0 ? id : `${id}.${index}`, model: engineModel }))
}

/** The id, time, model and fingerprint that an answer carries, and its prompts as text where it repeats them. */
export async function answerIdentity(
  call: GenerationCall,
  requests: readonly GenerationRequest[],
  { engine, engineModel, signal }: Attempt,
  { model, idPrefix, wallTimeMs }: { readonly model: string; readonly idPrefix: string; readonly wallTimeMs: number },
): Promise<AnswerIdentity> {
  return {
    id: createId(idPrefix),
    created: Math.floor(wallTimeMs / 1000),
    model,
    fingerprint: engine.fingerprint,
    promptTexts: call.echo ? await promptTexts(requests, engine, engineModel, signal) : undefined,
  }
}

type TakeEvent = (prompt: number, event: GenerationEvent) => Promise<void> | undefined

/** Runs all requests at once. The first that fails ends the others. */
async function generateAll(
  engine: Engine,
  requests: readonly GenerationRequest[],
  signal: AbortSignal,
  take: TakeEvent,
): Promise<void> {
  const [only] = requests
  if (only !== undefined && requests.length === 1) {
    await generateOne(engine, only, 0, signal, take)
    return
  }
  const { controller, unlink } = linkedController(signal)
  const results = await Promise.allSettled(
    requests.map(async (request, prompt) => {
      try {
        await generateOne(engine, request, prompt, controller.signal, take)
      } catch (error) {
        controller.abort(error)
        throw error
      }
    }),
  )
  unlink()
  if (results.some(({ status }) => status === 'rejected')) throw controller.signal.reason
}

async function generateOne(
  engine: Engine,
  request: GenerationRequest,
  prompt: number,
  signal: AbortSignal,
  take: TakeEvent,
): Promise<void> {
  for await (const event of engine.generate(request, signal)) {
    const wait = take(prompt, event)
    if (wait !== undefined) await wait
  }
}

function isOutput({ type }: GenerationEvent): boolean {
  return type === 'text' || type === 'reasoning' || type === 'toolCall'
}

/** The prompts as text, for an answer that repeats them. */
async function promptTexts(
  requests: readonly GenerationRequest[],
  engine: Engine,
  engineModel: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return await Promise.all(
    requests.map(async ({ input }) => {
      if (input.kind === 'text') return input.text
      if (input.kind === 'chat') throw new Error('A chat is never echoed.')
      if (engine.detokenize === undefined) {
        const text = 'echo with token ids is not supported: this engine cannot detokenize.'
        throw new TokenmillError('unsupported', text, { param: 'echo' })
      }
      return await engine.detokenize(engineModel, input.tokens, signal)
    }),
  )
}
