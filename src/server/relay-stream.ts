import type { RelayFlow, RelaySink } from '../inference/index.ts'
import type { Attempt } from '../scheduler/index.ts'
import type { Exchange } from './exchange.ts'
import { sendRelayed, type Relay, type RelayEnd } from './relay.ts'

/**
 * A stream that an engine answers in the client's own protocol: its frames go through as bytes. Until the first output
 * nothing goes out, so that another replica may be tried; what went out is kept as long as another may have to continue it.
 */
export class RelayedStream {
  /** Frames with output that went out. */
  outputFrames = 0
  readonly #exchange: Exchange
  readonly #relay: Relay
  readonly #promptTokens: number
  /** The frames that went out; undefined where the stream cannot be continued, or no longer. */
  #kept: Buffer[] | undefined
  #keptBytes = 0

  /** `promptTokens` stands for the prompt's length until the upstream tells it. */
  constructor(exchange: Exchange, relay: Relay, promptTokens: number) {
    this.#exchange = exchange
    this.#relay = relay
    this.#promptTokens = promptTokens
    if (relay.scan.continuable && relay.limits.maxContinuationBytes > 0) this.#kept = []
  }

  /** Every frame that the client has, for another replica to go on from; undefined where it cannot. */
  get sent(): Buffer | undefined {
    return this.#kept === undefined || this.outputFrames === 0 ? undefined : Buffer.concat(this.#kept)
  }

  async run(attempt: Attempt): Promise<RelayEnd> {
    const { codec, scan, model, limits } = this.#relay
    const exchange = this.#exchange
    const tap = codec.streamTap({
      model,
      endpoint: attempt.engine.endpoint,
      dropUsageChunk: !scan.includeUsage,
      n: scan.n * scan.prompts,
      maxFrameBytes: limits.maxSseFrameBytes,
    })
    /** Frames before the first output: role, comments. */
    let held: Buffer[] = []
    let committed = false
    let flow: RelayFlow | undefined
    const pass = (bytes: Buffer | undefined): void => {
      const frames = tap.outputFrames - this.outputFrames
      if (frames > 0) {
        this.outputFrames = tap.outputFrames
        exchange.account.relayedOutput(frames, this.#promptTokens)
        if (!committed) {
          committed = true
          attempt.commit()
        }
      }
      if (bytes === undefined) return
      if (!committed) {
        held.push(bytes)
        return
      }
      const out = held.length === 0 ? bytes : Buffer.concat([...held, bytes])
      if (held.length > 0) held = []
      this.#keep(out)
      exchange.writeBytes(out)
      if (exchange.congested && flow !== undefined) holdBack(exchange, flow)
    }
    const sink: RelaySink = {
      begin: (_head, given) => {
        flow = given
      },
      data: (chunk) => {
        try {
          pass(tap.push(chunk))
        } catch (error) {
          // What came whole before the fault is the client's.
          pass(tap.takeWritten())
          throw error
        }
      },
    }
    await sendRelayed(this.#relay, attempt, sink).catch((error: unknown) => {
      // A stream that dies after its finish reason is whole.
      if (!tap.complete || attempt.signal.aborted) throw error
    })
    tap.end()
    const last = tap.takeWritten()
    if (tap.usage !== undefined) exchange.account.event(0, { type: 'usage', usage: tap.usage })
    const rest = last === undefined ? Buffer.concat(held) : held.length === 0 ? last : Buffer.concat([...held, last])
    return { rest, finishReasons: tap.finishReasons }
  }

  #keep(bytes: Buffer): void {
    if (this.#kept === undefined) return
    this.#keptBytes += bytes.length
    if (this.#keptBytes > this.#relay.limits.maxContinuationBytes) this.#kept = undefined
    else this.#kept.push(bytes)
  }
}

/** The client reads slower than the upstream sends: the upstream waits. A client that leaves ends both. */
function holdBack(exchange: Exchange, flow: RelayFlow): void {
  flow.pause()
  exchange.drained().then(
    () => flow.resume(),
    () => undefined,
  )
}
