import type { IncomingHttpHeaders } from 'node:http'
import { limitError } from '../core/index.ts'
import type { RelayOperation } from '../inference/index.ts'
import { parseJsonBody, scanRequest, type Fields, type GenerationCall, type ProtocolLimits } from '../protocol/index.ts'
import { supports } from '../scheduler/index.ts'
import type { ModelDirectory } from './models.ts'
import type { RelayCall } from './relay.ts'

/** An endpoint whose requests may stay bytes. */
export interface RelayKind {
  readonly operation: RelayOperation
  readonly idPrefix: string
  /** Reads a whole body, for generations. */
  readonly parse?: (body: Fields, limits: ProtocolLimits) => GenerationCall
}

/**
 * The request as the byte path takes it; undefined where it goes the other way: its model is no fleet, or none of
 * the fleet's replicas speaks the client's protocol. Throws what is wrong with the fields that routing reads.
 */
export function toRelayCall(
  { operation, idPrefix, parse }: RelayKind,
  bytes: Buffer,
  headers: IncomingHttpHeaders,
  { directory, limits }: { readonly directory: ModelDirectory; readonly limits: ProtocolLimits },
): RelayCall | undefined {
  if (!directory.hasFleets) return undefined
  const scan = scanRequest(bytes)
  const target = directory.resolve(scan.model)
  const engine = target.fleet
  const replicas = engine?.fleet.route(target.name)?.replicas ?? []
  if (engine === undefined || !replicas.some((replica) => replica.engine.relay !== undefined)) return undefined
  // What is not generated is either relayed by all or answered from its parsed form by all.
  const foreign = replicas.some((replica) => replica.engine.relay === undefined && supports(replica.engine, operation))
  if (parse === undefined && foreign) return undefined
  if (scan.n > limits.maxChoices) {
    throw limitError({ name: 'maxChoices', maximum: limits.maxChoices, unit: 'choices' }, scan.n, 'n', 'Ask for fewer.')
  }
  if (scan.prompts > limits.maxPrompts) {
    const limit = { name: 'maxPrompts', maximum: limits.maxPrompts, unit: 'prompts' }
    throw limitError(limit, scan.prompts, 'prompt', 'Send them in several requests.')
  }
  const traceParent = headers['traceparent']
  return {
    operation,
    scan,
    target,
    engine,
    idPrefix,
    parse: parse === undefined ? undefined : () => parse(parseJsonBody(bytes), limits),
    traceParent: typeof traceParent === 'string' ? traceParent : undefined,
  }
}
