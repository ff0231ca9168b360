import type { TokenmillError } from '../core/index.ts'
import type { TokenUsage } from '../inference/index.ts'
import { readSaid, type GenerationCall, type RequestScan } from '../protocol/index.ts'
import type { FleetEngine, Replica } from '../scheduler/index.ts'
import type { Exchange } from './exchange.ts'
import { toRequests } from './generation.ts'

export interface BrokenStream {
  /** Every frame that the client has. Parsed here for the first time. */
  readonly frames: Buffer
  readonly tokens: number
  readonly replica: Replica
  readonly error: TokenmillError
}

/**
 * Lets another replica say the rest of a stream that broke: the frames tell what the client has read, the request's
 * body is parsed, and the new replica continues from the text. The chunks keep the id and time of the first ones.
 * Returns the text that ends the stream. Throws the stream's own error where it cannot be continued.
 */
export async function continueStream(
  exchange: Exchange,
  {
    call,
    scan,
    engine,
    idPrefix,
  }: {
    readonly call: GenerationCall
    readonly scan: RequestScan
    readonly engine: FleetEngine
    readonly idPrefix: string
  },
  broken: BrokenStream,
): Promise<string> {
  const said = readSaid(broken.frames)
  if (said === undefined) throw broken.error
  const name = scan.model ?? engine.models()[0]?.name ?? ''
  const { requests, encoder } = await toRequests(exchange, call, idPrefix, { name, engine, engineModel: name }, said)
  const [request] = requests
  if (request === undefined || requests.length !== 1) throw broken.error
  // The client has the first delta with its role; what the encoder writes for a first text is not for it.
  encoder.event(0, { type: 'text', index: 0, text: '', tokens: 0 })
  encoder.event(0, { type: 'prefilled', promptTokens: 0, cachedTokens: undefined })
  let usage: TokenUsage | undefined
  const first = { text: said.text, tokens: broken.tokens, replica: broken.replica, error: broken.error }
  const trace = { placed: (endpoint: string) => exchange.account.describe({ endpoint }) }
  for await (const event of engine.resume(request, first, exchange.signal, trace)) {
    if (event.type === 'usage') usage = event.usage
    else if (event.type === 'text') exchange.account.relayedOutput(event.tokens, 0)
    const text = encoder.event(0, event)
    if (text !== '') exchange.write(text)
    if (exchange.congested) await exchange.drained()
  }
  if (usage !== undefined) exchange.account.event(0, { type: 'usage', usage })
  return encoder.end()
}
