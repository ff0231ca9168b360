import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRandom, limitError, TokenmillError, type Clock } from '../../core/index.ts'
import { deriveSeed, sampleLength } from '../../workload/index.ts'
import { createMachineClock } from '../machine-clock.ts'
import { embeddingsBody } from './embeddings.ts'
import { drawFault, parseFault, type Fault } from './faults.ts'
import { Generation } from './generation.ts'
import { metricsText, type MockTotals } from './metrics-text.ts'
import { IndependentPacer, type Pacer } from './pacer.ts'
import { PrefixCache, renderChat, splitTokens } from './prompt-tokens.ts'
import { RecordLog, type MockRecord } from './records.ts'
import { parseMockRequest } from './request.ts'
import type { MockSettings } from './settings.ts'
import { StepPacer } from './step-pacer.ts'
import { errorBody, sendBody, type MockRequest } from './wire.ts'

/** A running mock. Close it, or its port stays taken. */
export interface MockServer {
  /** Base URL ending in `/v1`. */
  readonly url: string
  readonly port: number
  /** Finished and running requests, oldest first, at most `maxRecords`. */
  records(): readonly MockRecord[]
  totals(): Readonly<MockTotals>
  /** From now on, requests suffer these faults. */
  setFaults(faults: readonly Fault[]): void
  /** Cuts every connection and stops listening. */
  close(): Promise<void>
}

/**
 * Starts an OpenAI-compatible server whose times follow a stated model. The n-th request since the start gets
 * the same length, times and fault under the same seed, whatever runs beside it. A request may ask for a fault
 * itself: header `x-mock-fault: stall:1:2s`.
 */
export async function startMock(settings: MockSettings, clock: Clock = createMachineClock()): Promise<MockServer> {
  const mock = new Mock(settings, clock)
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) => {
    void mock.handle(request, response)
  })
  await listen(server, settings.port, settings.host)
  const { port } = server.address() as AddressInfo
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host
  return {
    url: `http://${host}:${port}/v1`,
    port,
    records: () => mock.log.all(),
    totals: () => mock.totals(),
    setFaults: (faults) => {
      mock.faults = faults
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(new TokenmillError('startup', `The mock cannot listen on ${host}:${port}: ${error.message}.`, {}, error))
    })
    server.listen(port, host, 4096, () => resolve())
  })
}

class Mock {
  readonly log: RecordLog
  faults: readonly Fault[]
  readonly #settings: MockSettings
  readonly #clock: Clock
  readonly #pacer: Pacer
  readonly #cache: PrefixCache
  readonly #counts = { requests: 0, promptTokens: 0, cachedTokens: 0, generatedTokens: 0 }
  readonly #startedMs: number
  #ordinal = 0
  /** Token bucket of the rate limit, one second deep. */
  #allowance: number
  #allowanceAtMs: number

  constructor(settings: MockSettings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
    this.faults = settings.faults
    this.log = new RecordLog(settings.maxRecords)
    const { latency } = settings
    this.#pacer = latency.kind === 'steps' ? new StepPacer(clock, latency) : new IndependentPacer(clock, latency)
    this.#cache = new PrefixCache(settings.cacheBlockTokens, settings.cacheBlocks)
    this.#startedMs = clock.now()
    this.#allowance = Math.max(1, settings.requestsPerSecond)
    this.#allowanceAtMs = this.#startedMs
  }

  totals(): MockTotals {
    return {
      ...this.#counts,
      running: this.#pacer.running,
      waiting: this.#pacer.waiting,
      kvCacheUsage: this.#pacer.kvCacheUsage,
      preemptions: this.#pacer.preemptions,
    }
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const receivedMs = this.#clock.now()
    try {
      await this.#route(request, response, receivedMs)
    } catch (error) {
      if (error instanceof TokenmillError) this.#refuse(response, error)
      else if (!response.destroyed) response.destroy(error instanceof Error ? error : undefined)
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, receivedMs: number): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://mock')
    const { models, apiKey } = this.#settings
    if (pathname.startsWith('/v1/') && apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`)
      throw new TokenmillError('unauthenticated', 'Incorrect API key provided.')
    const post = request.method === 'POST'
    if (post && pathname === '/v1/chat/completions') return this.#generate('chat', request, response, receivedMs)
    if (post && pathname === '/v1/completions') return this.#generate('completion', request, response, receivedMs)
    if (post && pathname === '/v1/embeddings') return this.#embed(request, response, receivedMs)
    if (post && pathname === '/tokenize') return this.#tokenize(request, response)
    if (pathname === '/v1/models') {
      const data = models.map((id) => this.#modelBody(id))
      return sendBody(response, 200, JSON.stringify({ object: 'list', data }))
    }
    if (pathname.startsWith('/v1/models/')) {
      const id = decodeURIComponent(pathname.slice('/v1/models/'.length))
      this.#checkModel(id)
      return sendBody(response, 200, JSON.stringify(this.#modelBody(id)))
    }
    if (pathname === '/metrics' || pathname === '/v1/metrics') {
      const text = metricsText(models[0] ?? 'mock', this.totals())
      return sendBody(response, 200, text, { 'content-type': 'text/plain; version=0.0.4' })
    }
    if (pathname === '/health' || pathname === '/v1/health/ready') return sendBody(response, 200, '{"status":"ok"}')
    if (pathname === '/mock/records') {
      const lines = this.log.all().map((record) => `${JSON.stringify(record)}\n`)
      return sendBody(response, 200, lines.join(''), { 'content-type': 'application/jsonl' })
    }
    throw new TokenmillError('not_found', `${request.method} ${pathname} is not served here.`)
  }

  async #generate(
    kind: MockRequest['kind'],
    incoming: IncomingMessage,
    response: ServerResponse,
    receivedMs: number,
  ): Promise<void> {
    const ordinal = this.#ordinal++
    const random = createRandom(deriveSeed(this.#settings.seed ^ 0x5bd1e995, ordinal))
    const drawn = drawFault(this.faults, random)
    const asked = incoming.headers['x-mock-fault']
    const fault = typeof asked === 'string' ? parseFault(asked) : drawn
    const request = parseMockRequest(kind, await this.#readBody(incoming))
    this.#checkModel(request.model)
    const tokens = splitTokens(request.prompt)
    const { outputTokens, defaultOutputTokens, contextTokens } = this.#settings
    const limit = request.maxTokens ?? defaultOutputTokens
    const wanted = outputTokens === undefined || request.ignoreEos ? limit : sampleLength(outputTokens, random)
    const length = fault?.kind === 'empty' ? 0 : Math.min(limit, wanted)
    if (tokens.length + length > contextTokens) {
      throw limitError(
        { name: 'contextTokens', maximum: contextTokens, unit: 'tokens' },
        tokens.length + length,
        'The prompt with its answer',
        'Shorten the prompt or lower max_tokens.',
        'context_length_exceeded',
      )
    }
    const record: MockRecord = {
      ordinal,
      requestId: headerText(incoming.headers['x-request-id']),
      path: incoming.url ?? '',
      model: request.model,
      fault: fault?.kind,
      receivedMs,
      promptTokens: tokens.length,
      cachedTokens: this.#cache.lookUpAndInsert(tokens),
      status: 200,
      outcome: 'running',
      writesMs: [],
      writeTokens: [],
      endMs: undefined,
    }
    this.log.add(record)
    if (this.#answersInstead(fault, response, record)) return
    const generation = new Generation({
      request: fault?.kind === 'noStream' ? { ...request, stream: false } : request,
      response,
      record,
      seed: this.#settings.seed,
      fault,
      outputTokens: length,
      finishReason: wanted >= limit ? 'length' : 'stop',
      tokensPerChunk: this.#settings.tokensPerChunk,
      roleChunk: this.#settings.roleChunk,
      maxUnsentBytes: this.#settings.maxUnsentBytes,
      clock: this.#clock,
      wallTimeS: Math.floor(this.#clock.wallTimeMs() / 1000),
      onEnd: () => {
        this.#pacer.cancel(generation)
        this.#count(record)
      },
    })
    if (response.destroyed) return generation.end('cancelled')
    if (length > 0 && !this.#pacer.start(generation)) {
      this.#finishRefused(record, 429)
      throw new TokenmillError('queue_full', 'The mock has no place in its line.', { retryAfterMs: 1000 })
    }
    generation.open()
    if (length === 0) generation.finishEmpty()
  }

  /** Faults and limits that answer without generating. True where the request is over. */
  #answersInstead(fault: Fault | undefined, response: ServerResponse, record: MockRecord): boolean {
    if (!this.#withinRate()) {
      this.#finishRefused(record, 429)
      throw new TokenmillError('rate_limited', 'The rate limit is reached.', { retryAfterMs: 1000 })
    }
    switch (fault?.kind) {
      case 'error':
        this.#finishRefused(record, 500)
        sendBody(response, 500, errorBody('The mock was told to fail.', 'server_error', 'engine_failed'))
        return true
      case 'unavailable':
        this.#finishRefused(record, 503)
        throw new TokenmillError('unavailable', 'The mock was told to be unavailable.', { retryAfterMs: 1000 })
      case 'rateLimit':
        this.#finishRefused(record, 429)
        throw new TokenmillError('rate_limited', 'The mock was told to refuse.', { retryAfterMs: 1000 })
      case 'html':
        this.#finishRefused(record, 200)
        sendBody(response, 200, '<!doctype html><title>Welcome to nginx!</title>', { 'content-type': 'text/html' })
        return true
      case 'silent':
        response.on('close', () => this.#finishRefused(record, 0))
        return true
      case 'refuse':
        this.#finishRefused(record, 0)
        response.destroy()
        return true
      default:
        return false
    }
  }

  async #embed(incoming: IncomingMessage, response: ServerResponse, receivedMs: number): Promise<void> {
    const ordinal = this.#ordinal++
    const { json, model, promptTokens } = embeddingsBody(
      await this.#readBody(incoming),
      this.#settings.embeddingDimensions,
    )
    this.#checkModel(model)
    const record: MockRecord = {
      ordinal,
      requestId: headerText(incoming.headers['x-request-id']),
      path: incoming.url ?? '',
      model,
      fault: undefined,
      receivedMs,
      promptTokens,
      cachedTokens: 0,
      status: 200,
      outcome: 'running',
      writesMs: [],
      writeTokens: [],
      endMs: undefined,
    }
    this.log.add(record)
    const end = (outcome: MockRecord['outcome']): void => {
      if (record.outcome !== 'running') return
      record.outcome = outcome
      record.endMs = this.#clock.now()
      this.#count(record)
    }
    const sequence = {
      promptTokens,
      cachedTokens: 0,
      outputTokens: 1,
      random: createRandom(deriveSeed(this.#settings.seed, 2 * ordinal)),
      onToken: () => {
        record.writesMs.push(this.#clock.now())
        sendBody(response, 200, json)
        end('completed')
      },
    }
    response.on('close', () => {
      this.#pacer.cancel(sequence)
      end('cancelled')
    })
    if (!this.#pacer.start(sequence)) {
      this.#finishRefused(record, 429)
      throw new TokenmillError('queue_full', 'The mock has no place in its line.', { retryAfterMs: 1000 })
    }
  }

  async #tokenize(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await this.#readBody(incoming)) as { prompt?: unknown; messages?: unknown }
    const text = Array.isArray(body.messages)
      ? renderChat(body.messages)
      : typeof body.prompt === 'string'
        ? body.prompt
        : ''
    const tokens = splitTokens(text).map((_, index) => index)
    const max_model_len = this.#settings.contextTokens
    sendBody(response, 200, JSON.stringify({ count: tokens.length, max_model_len, tokens }))
  }

  async #readBody(incoming: IncomingMessage): Promise<unknown> {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of incoming) {
      bytes += (chunk as Buffer).length
      if (bytes > this.#settings.maxBodyBytes) {
        throw limitError(
          { name: 'maxBodyBytes', maximum: this.#settings.maxBodyBytes, unit: 'bytes' },
          bytes,
          'The request body',
          'Send less, or start the mock with a higher --max-body-bytes.',
        )
      }
      chunks.push(chunk as Buffer)
    }
    try {
      return JSON.parse(Buffer.concat(chunks).toString('utf8'))
    } catch (error) {
      throw new TokenmillError('invalid_request', 'The request body is not JSON.', {}, error)
    }
  }

  #checkModel(model: string): void {
    const { models } = this.#settings
    if (models.includes(model)) return
    throw new TokenmillError('model_not_found', `The model '${model}' does not exist.`, { available: models })
  }

  #modelBody(id: string): object {
    const created = Math.floor(this.#startedMs / 1000)
    return { id, object: 'model', created, owned_by: 'mock', root: id, max_model_len: this.#settings.contextTokens }
  }

  #withinRate(): boolean {
    const { requestsPerSecond } = this.#settings
    if (requestsPerSecond === Infinity) return true
    const nowMs = this.#clock.now()
    const gained = ((nowMs - this.#allowanceAtMs) / 1000) * requestsPerSecond
    this.#allowance = Math.min(Math.max(1, requestsPerSecond), this.#allowance + gained)
    this.#allowanceAtMs = nowMs
    if (this.#allowance < 1) return false
    this.#allowance -= 1
    return true
  }

  #finishRefused(record: MockRecord, status: number): void {
    record.status = status
    record.outcome = 'refused'
    record.endMs = this.#clock.now()
  }

  #count(record: MockRecord): void {
    this.#counts.requests += record.outcome === 'completed' ? 1 : 0
    this.#counts.promptTokens += record.promptTokens
    this.#counts.cachedTokens += record.cachedTokens
    this.#counts.generatedTokens += record.writeTokens.reduce((sum, tokens) => sum + tokens, 0)
  }

  #refuse(response: ServerResponse, error: TokenmillError): void {
    const status = statuses[error.code] ?? 500
    const retryMs = error.details.retryAfterMs
    const headers: Record<string, string> =
      retryMs === undefined ? {} : { 'retry-after': `${Math.ceil(retryMs / 1000)}` }
    const type = status === 429 ? 'rate_limit_error' : status < 500 ? 'invalid_request_error' : 'server_error'
    sendBody(response, status, errorBody(error.message, type, error.code, error.details.param ?? null), headers)
  }
}

const statuses: Readonly<Partial<Record<TokenmillError['code'], number>>> = {
  invalid_request: 400,
  limit_exceeded: 413,
  context_length_exceeded: 400,
  unauthenticated: 401,
  model_not_found: 404,
  not_found: 404,
  queue_full: 429,
  rate_limited: 429,
  unavailable: 503,
}

function headerText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
