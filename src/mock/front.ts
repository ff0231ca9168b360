import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { TokenmillError, toTokenmillError, type Clock } from '../core/index.ts'
import type { Fault } from './faults.ts'
import { createRun, endRun, type MockRun } from './mock-run.ts'
import { RateLimit } from './rate-limit.ts'
import { RecordLog } from './records.ts'
import type { MockSettings } from './settings.ts'
import { answerWrongly, refuse, wireFaultOf } from './wire-faults.ts'

/**
 * What stands before the server in a mock: gives each request its number, its fault and its record, answers `/mock/records`, and
 * takes over where the wire is to be wrong. All else is the server's.
 */
export class MockFront {
  readonly log: RecordLog
  faults: readonly Fault[]
  /** Where the server listens; set once it does. */
  url = ''
  readonly #settings: MockSettings
  readonly #clock: Clock
  readonly #rate: RateLimit
  /** Requests under way by the id that the server knows them by. */
  readonly #runs = new Map<string, MockRun>()
  readonly #sockets = new Set<Socket>()
  /** Marks the requests that the mock sends to itself. */
  readonly #mark = randomUUID()
  #ordinal = 0

  constructor(settings: MockSettings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
    this.#rate = new RateLimit(settings.requestsPerSecond, clock)
    this.faults = settings.faults
    this.log = new RecordLog(settings.maxRecords)
  }

  /** The run that an engine's request belongs to; one with several prompts has several requests. */
  readonly runOf = (id: string): MockRun | undefined => this.#runs.get(id.split('.', 1)[0] ?? id)

  readonly intercept = (request: IncomingMessage, response: ServerResponse): boolean => {
    const receivedMs = this.#clock.now()
    this.#watch(request.socket)
    const [path = ''] = (request.url ?? '').split('?', 1)
    if (path === '/mock/records') {
      response.writeHead(200, { 'content-type': 'application/jsonl' })
      response.end(
        this.log
          .all()
          .map((record) => `${JSON.stringify(record)}\n`)
          .join(''),
      )
      return true
    }
    if (request.method !== 'POST' || !generating.has(path) || request.headers['x-mock-mark'] === this.#mark)
      return false
    try {
      return this.#take(request, response, receivedMs)
    } catch (error) {
      refuse(response, toTokenmillError(error))
      return true
    }
  }

  /** Cuts every connection, as a server that dies does. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #watch(socket: Socket): void {
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  #take(request: IncomingMessage, response: ServerResponse, receivedMs: number): boolean {
    const { seed, roleChunk } = this.#settings
    const run = createRun(this.#ordinal, request, { seed, faults: this.faults, receivedMs })
    this.#ordinal += 1
    request.headers['x-request-id'] = run.id
    this.#runs.set(run.id, run)
    this.log.add(run.record)
    response.once('close', () => {
      this.#runs.delete(run.id)
      endRun(run, response, this.#clock.now())
    })
    if (!this.#rate.take())
      throw new TokenmillError('rate_limited', 'The rate limit is reached.', { retryAfterMs: 1000 })
    const kind = wireFaultOf(run.fault) ?? (roleChunk ? undefined : 'noRole')
    if (kind === undefined) return false
    const ask = (body: Buffer, signal: AbortSignal) => this.#ask(request, body, signal)
    answerWrongly(request, response, { kind, run, ask }).catch(() => response.destroy())
    return true
  }

  #ask(request: IncomingMessage, body: Buffer, signal: AbortSignal): Promise<Response> {
    const headers = new Headers({ 'content-type': 'application/json', 'x-mock-mark': this.#mark })
    for (const name of ['authorization', 'x-api-key', 'x-request-id']) {
      const value = request.headers[name]
      if (typeof value === 'string') headers.set(name, value)
    }
    return fetch(`${this.url}${request.url}`, { method: 'POST', headers, body, signal })
  }
}

const generating: ReadonlySet<string> = new Set(['/v1/chat/completions', '/v1/completions', '/v1/embeddings'])
