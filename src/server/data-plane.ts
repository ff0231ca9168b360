import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createId, TokenmillError } from '../core/index.ts'
import type { Engine, RelayOperation } from '../inference/index.ts'
import {
  parseChatCall,
  parseCompletionCall,
  parseDetokenizeCall,
  parseEmbeddingCall,
  parseJsonBody,
  parseRerankCall,
  parseTokenizeCall,
  toEmbeddingAnswer,
  toRerankAnswer,
  toTokenizeAnswer,
  type Fields,
  type GenerationCall,
  type ProtocolLimits,
} from '../protocol/index.ts'
import type { Metrics } from '../telemetry/index.ts'
import type { Exchange } from './exchange.ts'
import { serveGeneration } from './generation.ts'
import type { ModelDirectory, ModelTarget } from './models.ts'
import { toRelayCall, type RelayKind } from './relay-call.ts'
import { serveRelay, type RelayLimits } from './relay.ts'

export interface DataPlaneServices {
  readonly directory: ModelDirectory
  readonly metrics: Metrics
  readonly limits: ProtocolLimits
  readonly relayLimits: () => RelayLimits
  /** Throws `unavailable` once the server is to end. */
  readonly requireOpen: () => void
}

/** The endpoints that cost tokens. Each is accounted, takes its body as bytes, and writes to the socket itself. */
export function registerDataPlane(app: FastifyInstance, services: DataPlaneServices): void {
  const { directory, limits } = services

  const post = (
    url: string,
    work: (exchange: Exchange, body: Fields, bytes: Buffer) => Promise<void>,
    kind?: RelayKind,
  ) => {
    app.post(url, { config: { operation: `POST ${url}` } }, async (request: FastifyRequest, reply: FastifyReply) => {
      const { exchange } = request
      if (exchange === undefined) throw new Error(`The route ${url} has no exchange.`)
      reply.hijack()
      const bytes = request.body instanceof Buffer ? request.body : Buffer.alloc(0)
      await exchange.run(async () => {
        services.requireOpen()
        requirePlain(request.headers['content-encoding'])
        const relay = kind === undefined ? undefined : toRelayCall(kind, bytes, request.headers, services)
        if (relay === undefined) await work(exchange, parseJsonBody(bytes), bytes)
        else await serveRelay(exchange, relay, services)
      })
    })
  }

  const generation = (
    url: string,
    operation: RelayOperation,
    idPrefix: string,
    parse: (body: Fields, limits: ProtocolLimits) => GenerationCall,
  ) =>
    post(url, async (exchange, body) => await serveGeneration(exchange, parse(body, limits), idPrefix, services), {
      operation,
      idPrefix,
      parse,
    })

  generation('/v1/chat/completions', 'chat', 'chatcmpl', parseChatCall)
  generation('/v1/completions', 'completion', 'cmpl', parseCompletionCall)

  post(
    '/v1/embeddings',
    async (exchange, body) => {
      const call = parseEmbeddingCall(body, limits)
      const target = resolve(directory, exchange, call.model)
      const embed = required(target.engine, 'embed', target.name)
      const { inputs, dimensions } = call
      const result = await admitted(target, exchange, () =>
        embed({ id: exchange.id, model: target.engineModel, inputs, dimensions }, exchange.signal),
      )
      exchange.account.promptTokens(result.promptTokens)
      await exchange.answer(toEmbeddingAnswer(result, call, call.model ?? target.name))
    },
    { operation: 'embedding', idPrefix: 'embd' },
  )

  for (const url of ['/v1/rerank', '/rerank']) {
    post(
      url,
      async (exchange, body) => {
        const call = parseRerankCall(body, limits)
        const target = resolve(directory, exchange, call.model)
        const rerank = required(target.engine, 'rerank', target.name)
        const { query, documents } = call
        const result = await admitted(target, exchange, () =>
          rerank({ id: exchange.id, model: target.engineModel, query, documents }, exchange.signal),
        )
        exchange.account.promptTokens(result.promptTokens)
        await exchange.answer(toRerankAnswer(result, call, createId('rerank'), call.model ?? target.name))
      },
      { operation: 'rerank', idPrefix: 'rerank' },
    )
  }

  post('/tokenize', async (exchange, body) => {
    const call = parseTokenizeCall(body, limits)
    const target = resolve(directory, exchange, call.model)
    const tokenize = required(target.engine, 'tokenize', target.name)
    const tokens = await tokenize(target.engineModel, call.input, exchange.signal)
    const texts = call.tokenTexts ? await tokenTexts(target, tokens, exchange.signal) : undefined
    const contextTokens = directory.listed(target.name).contextTokens
    await exchange.answer(toTokenizeAnswer(tokens, contextTokens, texts))
  })

  post('/detokenize', async (exchange, body) => {
    const call = parseDetokenizeCall(body)
    const target = resolve(directory, exchange, call.model)
    const detokenize = required(target.engine, 'detokenize', target.name)
    await exchange.answer({ prompt: await detokenize(target.engineModel, call.tokens, exchange.signal) })
  })
}

function resolve(directory: ModelDirectory, exchange: Exchange, name: string | undefined): ModelTarget {
  const target = directory.resolve(name)
  exchange.account.describe({ model: target.name, endpoint: target.engine.endpoint })
  return target
}

/** The engine's method, bound. Throws `unsupported` where the engine lacks it. */
function required<Name extends 'embed' | 'rerank' | 'tokenize' | 'detokenize'>(
  engine: Engine,
  name: Name,
  model: string,
): NonNullable<Engine[Name]> {
  const method = engine[name]
  if (method === undefined) {
    throw new TokenmillError('unsupported', `The model '${model}' cannot ${name}. Choose a model that can.`, {
      param: 'model',
    })
  }
  return method.bind(engine) as NonNullable<Engine[Name]>
}

async function admitted<T>(target: ModelTarget, exchange: Exchange, work: () => Promise<T>): Promise<T> {
  const permit = await target.admission.admit(1, exchange.signal)
  try {
    exchange.account.admitted(permit.queuedMs)
    exchange.account.engineCalled()
    return await work()
  } finally {
    permit.release()
  }
}

async function tokenTexts(
  target: ModelTarget,
  tokens: readonly number[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const detokenize = required(target.engine, 'detokenize', target.name)
  return await Promise.all(tokens.map((token) => detokenize(target.engineModel, [token], signal)))
}

/** Compressed bodies would be read before any limit could hold. */
function requirePlain(encoding: string | undefined): void {
  if (encoding === undefined || encoding === '' || encoding.toLowerCase() === 'identity') return
  const text = `content-encoding is ${JSON.stringify(encoding.slice(0, 40))}; bodies are read as they are. Send it uncompressed.`
  throw new TokenmillError('unsupported', text, { param: 'content-encoding' })
}
