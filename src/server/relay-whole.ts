import type { Attempt } from '../scheduler/index.ts'
import { estimateTokens } from './asked-request.ts'
import type { Exchange } from './exchange.ts'
import { sendRelayed, type Relay, type RelayEnd } from './relay.ts'

/**
 * An answer that is one JSON value, from an engine that speaks the client's protocol: gathered, checked for being whole,
 * and handed on as bytes. What an upstream does not count is estimated from what it said.
 */
export async function relayWhole(exchange: Exchange, relay: Relay, attempt: Attempt): Promise<RelayEnd> {
  const { codec, model, operation, scan, limits } = relay
  const { maxAnswerBytes } = limits
  const tap = codec.answerTap({ model, endpoint: attempt.engine.endpoint, operation, maxAnswerBytes })
  await sendRelayed(relay, attempt, { begin: () => undefined, data: (chunk) => tap.push(chunk) })
  const rest = tap.end()
  const usage = tap.usage ?? {
    promptTokens: estimateTokens(scan.bytes.length),
    cachedTokens: undefined,
    completionTokens: tap.saidBytes === 0 ? 0 : estimateTokens(tap.saidBytes),
    reasoningTokens: undefined,
    estimated: true,
  }
  exchange.account.event(0, { type: 'usage', usage })
  return { rest, finishReasons: tap.finishReasons }
}
