import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { createId, TokenmillError } from '../core/index.ts'
import { toErrorReply } from '../protocol/index.ts'
import { framingProblem } from './http-framing.ts'

export interface HttpLimits {
  readonly maxConnections: number
  readonly requestTimeoutMs: number
}

/** PEM texts. */
export interface ServerTls {
  readonly cert: string
  readonly key: string
  /** Clients need a certificate that this signs. */
  readonly clientCa: string | undefined
}

/** How long an idle connection is kept, milliseconds: above the 60 s of load balancers, so that they close first. */
const keepAliveTimeoutMs = 72_000

/** The one server of the process, HTTP or HTTPS, with its limits. What is no sound HTTP is answered here. */
export function createHttpServer(handler: RequestListener, limits: HttpLimits, tls: ServerTls | undefined): Server {
  const listener: RequestListener = (request, response) => {
    const problem = framingProblem(request)
    if (problem === undefined) handler(request, response)
    else refuse(response, 400, `The request ${problem}. Send it as HTTP/1.1 asks.`)
  }
  const options = {
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    // A request without Host is answered by us, in JSON; HTTP/1.0 probes may lack it.
    requireHostHeader: false,
    noDelay: true,
  }
  const server =
    tls === undefined ? createServer(options, listener) : createHttpsServer({ ...options, ...pemOf(tls) }, listener)
  server.maxConnections = limits.maxConnections
  server.on('clientError', answerBrokenHttp)
  server.on('checkExpectation', refuseExpectation)
  return server
}

function pemOf({ cert, key, clientCa }: ServerTls) {
  const client = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }
  return { cert, key, ...client, ciphers: forwardSecretCiphers }
}

/** TLS 1.2 with ECDHE and AEAD alone (RFC 9325, section 4.2); TLS 1.3 has nothing else. */
const forwardSecretCiphers = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':')

/** `Expect` with anything but 100-continue, which Node answers itself (RFC 9110, 10.1.1). */
function refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
  const asked = JSON.stringify((request.headers.expect ?? '').slice(0, 40))
  refuse(response, 417, `The Expect header is ${asked}; only 100-continue is understood. Leave it out.`)
}

/** Answers a request that goes no further, and closes its connection: what follows on it cannot be trusted. */
function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.socket !== null) refused.add(response.socket)
  const body = JSON.stringify(toErrorReply(new TokenmillError('invalid_request', message)).body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-request-id': createId('req'),
    connection: 'close',
  })
  response.end(body)
}

/** Connections whose last answer is out: what their client sends beyond it is not answered, broken or not. */
const refused = new WeakSet<Socket>()

/** Bytes that are not HTTP: no request exists, so the answer is written by hand. */
function answerBrokenHttp(error: Error & { code?: string }, socket: Socket): void {
  if (refused.has(socket)) return
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, message } = brokenHttp(error.code)
  const body = JSON.stringify(toErrorReply(new TokenmillError('invalid_request', message)).body)
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\nx-request-id: ${createId('req')}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

function brokenHttp(code: string | undefined): { readonly status: string; readonly message: string } {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return { status: '431 Request Header Fields Too Large', message: 'The request headers are larger than 16 KiB.' }
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: '408 Request Timeout', message: 'The request did not arrive in time.' }
  }
  return { status: '400 Bad Request', message: 'The request is not valid HTTP/1.1.' }
}
