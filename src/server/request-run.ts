import { createId, toTokenmillError, type Clock, type TokenmillError } from '../core/index.ts'
import {
  carriesOver,
  type EngineCall,
  type GenerationCall,
  type Operation,
  type Protocol,
  type ProtocolLimits,
} from '../protocol/index.ts'
import { modelOf, type Attempt, type Dispatcher, type Replica } from '../scheduler/index.ts'
import type { Metrics } from '../telemetry/index.ts'
import { readRequest, type AskedRequest } from './asked-request.ts'
import type { Exchange } from './exchange.ts'
import { RelayedStream } from './relay-stream.ts'
import { relayWhole } from './relay-whole.ts'
import type { Relay, RelayEnd, RelayLimits } from './relay.ts'
import type { Routes } from './routes.ts'
import { answerIdentity, toRequests } from './write-events.ts'
import { WrittenAnswer } from './written-answer.ts'

export interface RunServices {
  readonly routes: Routes
  readonly dispatcher: Dispatcher
  readonly metrics: Metrics
  readonly clock: Clock
  readonly limits: ProtocolLimits
  readonly relayLimits: () => Omit<RelayLimits, 'maxContinuationBytes'>
}

/** Deaths of a replica in the middle of one answer that are survived. */
const maxContinuations = 3

/**
 * The life of every request, whatever its protocol, its operation and the engines behind it:
 *
 *   resolve → admit and place → generate → write → settle
 *
 * The key was checked before the body was read; the account settles in `Exchange.run`, on every way out. Nothing else asks
 * for admission; what writes the answer counts its tokens in the account.
 */
export async function runRequest(
  exchange: Exchange,
  protocol: Protocol,
  operation: Operation,
  tenant: string | undefined,
  services: RunServices,
): Promise<void> {
  const body = await exchange.body()
  const asked = readRequest(protocol, operation, body, { routes: services.routes, limits: services.limits, tenant })
  await new RequestRun(exchange, asked, services).run()
}

class RequestRun {
  readonly #exchange: Exchange
  readonly #asked: AskedRequest
  readonly #services: RunServices
  readonly #limits: RelayLimits
  /** Set where the request may be relayed as bytes. */
  readonly #relay: Relay | undefined
  /** The stream of bytes, over all attempts that relay. */
  #relayed: RelayedStream | undefined
  /** The answer from events; a new one for each attempt, until there is output. */
  #written: WrittenAnswer | undefined
  #admitted = false
  /** What is left to write once the answer is complete. */
  #rest: string | Buffer = ''

  constructor(exchange: Exchange, asked: AskedRequest, services: RunServices) {
    this.#exchange = exchange
    this.#asked = asked
    this.#services = services
    const { maxContinuationBytes } = asked.route.pool.limits
    const { maxSseFrameBytes, maxAnswerBytes } = services.relayLimits()
    this.#limits = { maxSseFrameBytes, maxAnswerBytes, maxContinuationBytes }
    const { scan, protocol, operation, model } = asked
    if (scan === undefined || protocol.bytes === undefined) return
    const traceParent = exchange.headers['traceparent']
    this.#relay = {
      codec: protocol.bytes,
      scan,
      id: exchange.id,
      model,
      operation: operation.operation,
      traceParent: typeof traceParent === 'string' ? traceParent : undefined,
      limits: this.#limits,
    }
  }

  async run(): Promise<void> {
    const { route, operation, item, stream } = this.#asked
    const { account } = this.#exchange
    account.describe({ model: route.name, endpoint: route.pool.endpoint, stream, sequences: item.sequences })
    if (operation.kind === 'generation') account.observe(this.#services.metrics.tokens(route.name))
    await this.#generate()
    await this.#exchange.end(this.#rest)
  }

  /** Dispatches, and lets other replicas say the rest of an answer whose replica died after its output began. */
  async #generate(): Promise<void> {
    const { route, item } = this.#asked
    const { signal } = this.#exchange
    /** Replicas that failed after output began, with their errors, oldest first. */
    const deaths = new Map<Replica, TokenmillError>()
    for (;;) {
      let placed: Replica | undefined
      const run = async (attempt: Attempt): Promise<void> => {
        placed = attempt.replica
        await this.#attempt(attempt)
      }
      try {
        await this.#services.dispatcher.dispatch(route, item, signal, run, deaths)
        return
      } catch (thrown) {
        const error = toTokenmillError(thrown)
        const death = [...deaths.values()].at(-1)
        if (signal.aborted) throw error
        // No replica was left to continue: the client gets the error that broke the answer.
        if (placed === undefined) throw death ?? error
        // This kind of engine cannot continue a text; another kind may.
        const passedOver = death !== undefined && error.code === 'unsupported'
        if (!passedOver && (deaths.size >= maxContinuations || !this.#continueAfter(error))) throw error
        deaths.set(placed, passedOver ? death : error)
      }
    }
  }

  async #attempt(attempt: Attempt): Promise<void> {
    this.#onAdmitted(attempt)
    this.#exchange.account.describe({ endpoint: attempt.engine.endpoint })
    const relay = attempt.engine.relay === undefined || this.#written?.continues === true ? undefined : this.#relay
    if (relay !== undefined) {
      await this.#relayTo(attempt, relay)
      return
    }
    const parsed = this.#asked.parsed()
    if (parsed.kind === 'generation') await this.#writeEvents(parsed.call, attempt)
    else await this.#call(parsed.call, attempt)
  }

  /** The request was admitted. From now on keep-alives may open the head; until now an error kept its own status. */
  #onAdmitted({ queuedMs }: Attempt): void {
    if (this.#admitted) return
    this.#admitted = true
    const { account } = this.#exchange
    account.admitted(queuedMs)
    account.engineCalled()
    this.#services.metrics.overhead(this.#asked.route.name, account.overheadMs ?? 0)
    this.#exchange.begin(this.#asked.stream)
  }

  async #relayTo(attempt: Attempt, relay: Relay): Promise<void> {
    let end: RelayEnd
    if (this.#asked.stream) {
      this.#relayed ??= new RelayedStream(this.#exchange, relay, this.#asked.item.promptTokens)
      end = await this.#relayed.run(attempt)
    } else end = await relayWhole(this.#exchange, relay, attempt)
    this.#rest = end.rest
    for (const reason of end.finishReasons) this.#services.metrics.choiceFinished(attempt.route.name, reason)
  }

  async #call(call: EngineCall, { engine, engineModel, signal, route }: Attempt): Promise<void> {
    const { model, operation } = this.#asked
    const { contextTokens } = modelOf(route)
    const answerId = createId(operation.idPrefix)
    const target = { engine, engineModel, model, requestId: this.#exchange.id, answerId, contextTokens }
    const { body, promptTokens } = await call.answer(target, signal)
    this.#exchange.account.promptTokens(promptTokens)
    this.#rest = JSON.stringify(body)
  }

  async #writeEvents(call: GenerationCall, attempt: Attempt): Promise<void> {
    const { clock, metrics } = this.#services
    const { model, operation, stream } = this.#asked
    if (this.#written?.continues !== true) {
      const requests = toRequests(call, this.#exchange.id, attempt.engineModel)
      const naming = { model, idPrefix: operation.idPrefix, wallTimeMs: clock.wallTimeMs() }
      const encoder = call.encoder(await answerIdentity(call, requests, attempt, naming))
      this.#written = new WrittenAnswer(encoder, requests, this.#limits.maxContinuationBytes)
    } else await this.#written.recount(attempt)
    this.#rest = await this.#written.run(attempt, { exchange: this.#exchange, metrics, stream })
  }

  /** Prepares the rest of the answer. False where this error, or this answer, cannot be mended so. */
  #continueAfter(error: TokenmillError): boolean {
    this.#written ??= this.#writtenFromSent()
    return this.#written?.continueAfter(error) ?? false
  }

  /** The request that was sent on as bytes; undefined where what the engine took is not what the parser reads. */
  #parsedToContinue(): ReturnType<AskedRequest['parsed']> | undefined {
    if (this.#relay === undefined || !carriesOver(this.#relay.scan.bytes)) return undefined
    try {
      return this.#asked.parsed()
    } catch {
      return undefined
    }
  }

  /** What the frames of a relayed stream told the client. The chunks of the rest keep the id and time of the first ones. */
  #writtenFromSent(): WrittenAnswer | undefined {
    const sent = this.#relayed?.sent
    const said = sent === undefined ? undefined : this.#relay?.codec.readSaid(sent)
    const request = said === undefined ? undefined : this.#parsedToContinue()
    if (said === undefined || request?.kind !== 'generation') return undefined
    const { id, created, text } = said
    const encoder = request.call.encoder({ id, created, model: this.#asked.model, promptTexts: undefined })
    const requests = toRequests(request.call, this.#exchange.id, '')
    const written = new WrittenAnswer(encoder, requests, this.#limits.maxContinuationBytes)
    written.said(text, this.#relayed?.outputFrames ?? 0)
    return written
  }
}
