import { toTokenmillError, type TokenmillError } from '../core/index.ts'
import type { GenerationEvent, RelayFlow, RelayOperation } from '../inference/index.ts'
import {
  AnswerTap,
  relayEncoder,
  rewriteRequest,
  StreamTap,
  type GenerationCall,
  type RequestScan,
} from '../protocol/index.ts'
import { modelAt, supports, type Attempt, type FleetEngine, type Replica } from '../scheduler/index.ts'
import type { Metrics } from '../telemetry/index.ts'
import { continueStream } from './continue-stream.ts'
import type { Exchange } from './exchange.ts'
import { generateAll, toRequests } from './generation.ts'
import type { ModelTarget } from './models.ts'

export interface RelayLimits {
  readonly maxSseFrameBytes: number
  readonly maxAnswerBytes: number
  readonly maxContinuationBytes: number
}

export interface RelayServices {
  readonly metrics: Metrics
  readonly relayLimits: () => RelayLimits
}

/** One request for a fleet, scanned but not parsed. */
export interface RelayCall {
  readonly operation: RelayOperation
  readonly scan: RequestScan
  readonly target: ModelTarget
  readonly engine: FleetEngine
  /** Parses the whole body: for replicas that do not speak the client's protocol, and to continue a broken stream. */
  readonly parse: (() => GenerationCall) | undefined
  readonly idPrefix: string
  readonly traceParent: string | undefined
}

/**
 * The byte path: admit → place → send the spliced body → hand the answer's bytes on. Until the first output nothing
 * goes out, so that another replica may be tried; after it, a stream of plain text that breaks is continued by
 * another replica. Every way out gives the permit back, and `Exchange.run` settles the account.
 */
export async function serveRelay(exchange: Exchange, call: RelayCall, services: RelayServices): Promise<void> {
  const { scan, target, engine, operation } = call
  const { account, signal } = exchange
  const generates = operation === 'chat' || operation === 'completion'
  account.describe({
    model: target.name,
    endpoint: engine.endpoint,
    stream: scan.stream,
    sequences: scan.n * scan.prompts,
  })
  if (generates) account.observe(services.metrics.tokens(target.name))
  exchange.begin(relayEncoder(scan.stream), scan.stream)
  const permit = await target.admission.admit(generates ? scan.n * scan.prompts : 1, signal)
  try {
    account.admitted(permit.queuedMs)
    account.engineCalled()
    services.metrics.overhead(target.name, account.overheadMs ?? 0)
    const relay = new Relay(exchange, call, services.relayLimits())
    const route = {
      model: target.name,
      affinityKey: scan.affinityKey,
      capable: (replica: Parameters<typeof supports>[0]) => supports(replica, operation),
      whole: !scan.stream,
    }
    try {
      await engine.fleet.dispatch(route, signal, (attempt) => relay.run(attempt))
    } catch (error) {
      await relay.continueAfter(toTokenmillError(error))
    }
    await exchange.endBytes(relay.rest)
  } finally {
    permit.release()
  }
}

/** One relayed answer, over all its attempts. */
class Relay {
  /** What is left to write when the answer is whole. */
  rest: Buffer = Buffer.alloc(0)
  readonly #exchange: Exchange
  readonly #call: RelayCall
  readonly #limits: RelayLimits
  /** The frames that went out, as long as they may be needed to continue. */
  #kept: Buffer[] | undefined
  #keptBytes = 0
  #outputFrames = 0
  #replica: Replica | undefined
  #committed = false

  constructor(exchange: Exchange, call: RelayCall, limits: RelayLimits) {
    this.#exchange = exchange
    this.#call = call
    this.#limits = limits
    if (call.scan.stream && call.scan.continuable && limits.maxContinuationBytes > 0) this.#kept = []
  }

  async run(attempt: Attempt): Promise<void> {
    this.#replica = attempt.replica
    this.#exchange.account.describe({ endpoint: attempt.engine.endpoint })
    if (attempt.engine.relay === undefined) await this.#decode(attempt)
    else if (this.#call.scan.stream) await this.#stream(attempt)
    else await this.#whole(attempt)
  }

  /** After the output has begun, another replica may still say the rest. Throws `error` where none can. */
  async continueAfter(error: TokenmillError): Promise<void> {
    const { scan, parse, engine, idPrefix } = this.#call
    if (!this.#committed || this.#kept === undefined || parse === undefined || this.#replica === undefined) throw error
    const said = { frames: Buffer.concat(this.#kept), tokens: this.#outputFrames, replica: this.#replica, error }
    this.#kept = undefined
    const end = await continueStream(this.#exchange, { call: parse(), scan, engine, idPrefix }, said)
    this.rest = Buffer.from(end)
  }

  async #stream(attempt: Attempt): Promise<void> {
    const { scan, target } = this.#call
    const exchange = this.#exchange
    const promptEstimate = estimateTokens(scan.bytes.length)
    const tap = new StreamTap({
      model: scan.model ?? target.name,
      endpoint: attempt.engine.endpoint,
      dropUsageChunk: !scan.includeUsage,
      n: scan.n * scan.prompts,
      maxFrameBytes: this.#limits.maxSseFrameBytes,
    })
    /** Frames before the first output: role, comments. */
    let held: Buffer[] = []
    let flow: RelayFlow | undefined
    const pass = (bytes: Buffer | undefined): void => {
      const frames = tap.outputFrames - this.#outputFrames
      if (frames > 0) {
        this.#outputFrames = tap.outputFrames
        exchange.account.relayedOutput(frames, promptEstimate)
        if (!this.#committed) {
          this.#committed = true
          attempt.commit()
        }
      }
      if (bytes === undefined) return
      if (!this.#committed) {
        held.push(bytes)
        return
      }
      const out = held.length === 0 ? bytes : Buffer.concat([...held, bytes])
      held = []
      this.#keep(out)
      exchange.writeBytes(out)
      if (exchange.congested && flow !== undefined) holdBack(exchange, flow)
    }
    const data = (chunk: Uint8Array): void => {
      try {
        pass(tap.push(chunk))
      } catch (error) {
        // What came whole before the fault is the client's.
        pass(tap.takeWritten())
        throw error
      }
    }
    await this.#send(attempt, {
      begin: (_head, given) => {
        flow = given
      },
      data,
    })
    tap.end()
    const last = tap.takeWritten()
    if (tap.usage !== undefined) exchange.account.event(0, { type: 'usage', usage: tap.usage })
    this.rest = Buffer.concat(last === undefined ? held : [...held, last])
  }

  async #whole(attempt: Attempt): Promise<void> {
    const { scan, target } = this.#call
    const tap = new AnswerTap({
      model: scan.model ?? target.name,
      endpoint: attempt.engine.endpoint,
      maxAnswerBytes: this.#limits.maxAnswerBytes,
    })
    await this.#send(attempt, { begin: () => undefined, data: (chunk) => tap.push(chunk) })
    this.rest = tap.end()
    const usage = tap.usage ?? {
      promptTokens: estimateTokens(scan.bytes.length),
      cachedTokens: undefined,
      completionTokens: tap.saidBytes === 0 ? 0 : estimateTokens(tap.saidBytes),
      reasoningTokens: undefined,
      estimated: true,
    }
    this.#exchange.account.event(0, { type: 'usage', usage })
  }

  async #send(attempt: Attempt, sink: Parameters<NonNullable<typeof attempt.engine.relay>>[1]): Promise<void> {
    const { scan, operation, traceParent } = this.#call
    const body = rewriteRequest(scan, modelAt(attempt.engine, attempt.route))
    const request = { id: this.#exchange.id, operation, body, priority: scan.priority, traceParent }
    await attempt.engine.relay?.(request, sink, attempt.signal)
  }

  /** A replica that does not speak the client's protocol: the request is parsed, the answer written from events. */
  async #decode(attempt: Attempt): Promise<void> {
    const { parse, target, scan, idPrefix } = this.#call
    if (parse === undefined) throw new Error(`${attempt.engine.endpoint} was placed for what it cannot do.`)
    const exchange = this.#exchange
    const call = parse()
    const { requests, encoder } = await toRequests(exchange, call, idPrefix, {
      name: target.name,
      engine: attempt.engine,
      engineModel: modelAt(attempt.engine, attempt.route),
    })
    this.#kept = undefined
    let held = ''
    const take = (prompt: number, event: GenerationEvent): Promise<void> | undefined => {
      exchange.account.event(prompt, event)
      held += encoder.event(prompt, event)
      if (!this.#committed && isOutput(event)) {
        this.#committed = true
        attempt.commit()
      }
      if (!this.#committed || !scan.stream || held === '') return undefined
      exchange.write(held)
      held = ''
      return exchange.congested ? exchange.drained() : undefined
    }
    await generateAll(attempt.engine, requests, attempt.signal, take)
    this.rest = Buffer.from(held + encoder.end())
  }

  #keep(bytes: Buffer): void {
    if (this.#kept === undefined) return
    this.#keptBytes += bytes.length
    if (this.#keptBytes > this.#limits.maxContinuationBytes) this.#kept = undefined
    else this.#kept.push(bytes)
  }
}

function isOutput({ type }: GenerationEvent): boolean {
  return type === 'text' || type === 'reasoning' || type === 'toolCall'
}

/** The client reads slower than the upstream sends: the upstream waits. A client that leaves ends both. */
function holdBack(exchange: Exchange, flow: RelayFlow): void {
  flow.pause()
  exchange.drained().then(
    () => flow.resume(),
    () => undefined,
  )
}

/** English text has about four characters a token. */
function estimateTokens(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / 4))
}
