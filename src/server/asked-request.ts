import { limitError } from '../core/index.ts'
import { extensionsOf } from '../inference/index.ts'
import {
  parseJsonBody,
  type EngineCall,
  type Fields,
  type GenerationCall,
  type Operation,
  type Protocol,
  type ProtocolLimits,
  type RequestScan,
} from '../protocol/index.ts'
import type { ModelRoute, WorkItem } from '../scheduler/index.ts'
import { relaysBytes, type Routes } from './routes.ts'

/** A client's request, read as far as placing it needs. */
export interface AskedRequest {
  readonly protocol: Protocol
  readonly operation: Operation
  readonly route: ModelRoute
  /** The model as the client named it: what its answer shows. */
  readonly model: string
  readonly stream: boolean
  readonly item: WorkItem
  /** Set where the route has engines that take the request as bytes. */
  readonly scan: RequestScan | undefined
  /** The whole request, parsed once. Throws what is wrong with it. */
  readonly parsed: () => ParsedRequest
}

export type ParsedRequest =
  | { readonly kind: 'generation'; readonly call: GenerationCall }
  | { readonly kind: 'call'; readonly call: EngineCall }

export interface ReadContext {
  readonly routes: Routes
  readonly limits: ProtocolLimits
  /** Name of the API key; undefined where none is required. */
  readonly tenant: string | undefined
}

/**
 * Reads a request: for engines that speak the client's protocol only what routing needs, from the bytes; for others all of
 * it. Throws `model_not_found` and what is wrong with the fields that were read.
 */
export function readRequest(
  protocol: Protocol,
  operation: Operation,
  body: Buffer,
  { routes, limits, tenant }: ReadContext,
): AskedRequest {
  let fields: Fields | undefined
  let parsed: ParsedRequest | undefined
  const parse = (): ParsedRequest => {
    fields ??= parseJsonBody(body)
    parsed ??= parseOperation(operation, fields, limits)
    return parsed
  }
  const scanned = mayStayBytes(protocol, operation, routes) ? tryScan(protocol, body) : undefined
  if (scanned !== undefined) {
    // A body that does not scan is no JSON, or has a field that routing cannot read: the parser finds the first.
    const name = 'scan' in scanned ? scanned.scan.model : (fields = parseJsonBody(body)).string('model')
    const route = routes.resolve(name)
    if (relaysBytes(route.pool)) {
      if ('error' in scanned) throw scanned.error
      const { scan } = scanned
      checkLimits(scan, limits)
      const item = itemOfScan(scan, route, operation, tenant)
      return { protocol, operation, route, model: name ?? route.name, stream: scan.stream, item, scan, parsed: parse }
    }
  }
  const read = parse()
  const route = routes.resolve(read.call.model)
  const stream = read.kind === 'generation' && read.call.stream
  const item = itemOfCall(read, route, operation, body.length, tenant)
  const model = read.call.model ?? route.name
  return { protocol, operation, route, model, stream, item, scan: undefined, parsed: parse }
}

function mayStayBytes(protocol: Protocol, operation: Operation, routes: Routes): boolean {
  return protocol.bytes !== undefined && routes.relayBytes && (operation.kind === 'generation' || operation.relayed)
}

function tryScan(protocol: Protocol, body: Buffer): { scan: RequestScan } | { error: unknown } | undefined {
  try {
    return protocol.bytes === undefined ? undefined : { scan: protocol.bytes.scan(body) }
  } catch (error) {
    return { error }
  }
}

function parseOperation(operation: Operation, fields: Fields, limits: ProtocolLimits): ParsedRequest {
  return operation.kind === 'generation'
    ? { kind: 'generation', call: operation.parse(fields, limits) }
    : { kind: 'call', call: operation.parse(fields, limits) }
}

function checkLimits({ n, prompts }: RequestScan, { maxChoices, maxPrompts }: ProtocolLimits): void {
  if (n > maxChoices) {
    throw limitError({ name: 'maxChoices', maximum: maxChoices, unit: 'choices' }, n, 'n', 'Ask for fewer.')
  }
  if (prompts > maxPrompts) {
    const limit = { name: 'maxPrompts', maximum: maxPrompts, unit: 'prompts' }
    throw limitError(limit, prompts, 'prompt', 'Send them in several requests.')
  }
}

function itemOfScan(scan: RequestScan, route: ModelRoute, operation: Operation, tenant: string | undefined): WorkItem {
  const generates = operation.kind === 'generation'
  return {
    model: route.name,
    operation: operation.operation,
    sequences: generates ? scan.n * scan.prompts : operation.sequences,
    promptTokens: estimateTokens(scan.bytes.length),
    maxTokens: scan.maxTokens,
    affinityKey: scan.affinityKey,
    tenant,
    needs: scan.extensions,
    whole: !scan.stream,
  }
}

function itemOfCall(
  read: ParsedRequest,
  route: ModelRoute,
  operation: Operation,
  bytes: number,
  tenant: string | undefined,
): WorkItem {
  const drafts = read.kind === 'generation' ? read.call.drafts : []
  const [first] = drafts
  return {
    model: route.name,
    operation: operation.operation,
    sequences: operation.kind === 'call' ? operation.sequences : drafts.reduce((sum, draft) => sum + draft.n, 0),
    promptTokens: estimateTokens(bytes),
    maxTokens: first?.maxTokens,
    affinityKey: first?.affinityKey,
    tenant,
    needs: [...new Set(drafts.flatMap(extensionsOf))],
    whole: operation.kind === 'call',
  }
}

/** English text has about four characters a token. */
export function estimateTokens(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / 4))
}
