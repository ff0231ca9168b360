import type { TokenmillError } from '../core/index.ts'
import type { Engine, RelayOperation } from '../inference/index.ts'
import type { AnswerTap, AnswerTapOptions } from './bytes/answer-tap.ts'
import type { RequestScan } from './bytes/request-scan.ts'
import type { Said } from './bytes/said.ts'
import type { StreamTap, StreamTapOptions } from './bytes/stream-tap.ts'
import type { ErrorReply } from './errors.ts'
import type { Fields } from './fields.ts'
import type { GenerationCall } from './generation-call.ts'
import type { ProtocolLimits } from './limits.ts'

/**
 * A client's protocol, as the server uses it: which operations there are, how a request is read, how an answer is framed
 * and an error told. Another protocol is another folder with one of these, and one line in protocols.ts.
 */
export interface Protocol {
  readonly name: string
  readonly operations: readonly Operation[]
  errorReply(error: TokenmillError): ErrorReply
  /** What surrounds an answer: its type, what may be written in silence, how an error ends it. */
  framing(stream: boolean): AnswerFraming
  /** For protocols that engines speak too: their requests and answers can stay bytes. Absent: every request is parsed. */
  readonly bytes?: ByteCodec
}

/** What a client can ask for. Each is answered on its paths, by POST with a JSON body. */
export type Operation = GenerationOperation | CallOperation

interface OperationPlace {
  /** `/v1/chat/completions`; the first is the one that accounts name for all. */
  readonly paths: readonly string[]
  /** What engines call it. */
  readonly operation: RelayOperation
  /** First part of the ids of its answers: `chatcmpl`. */
  readonly idPrefix: string
}

/** It generates: engines answer with events, and the encoder writes them. */
export interface GenerationOperation extends OperationPlace {
  readonly kind: 'generation'
  parse(body: Fields, limits: ProtocolLimits): GenerationCall
}

/** It is answered by one call of an engine's method. */
export interface CallOperation extends OperationPlace {
  readonly kind: 'call'
  /** Its answer may stay bytes where the engine speaks the protocol. */
  readonly relayed: boolean
  /** Sequences of an engine's batch that it takes; 0 for work on texts alone. */
  readonly sequences: 0 | 1
  parse(body: Fields, limits: ProtocolLimits): EngineCall
}

/** A request that one call of an engine answers. */
export interface EngineCall {
  /** As the client named it; undefined where it named none. */
  readonly model: string | undefined
  /** Calls the engine's method and writes its answer. Throws `unsupported` where the engine has no such method. */
  answer(target: CallTarget, signal: AbortSignal): Promise<EngineAnswer>
}

export interface CallTarget {
  readonly engine: Engine
  /** The name under which the engine knows the model. */
  readonly engineModel: string
  /** The name that the answer shows. */
  readonly model: string
  /** Identifier of the HTTP request. */
  readonly requestId: string
  readonly answerId: string
  /** Most tokens of prompt and output together; undefined where no engine says. */
  readonly contextTokens: number | undefined
}

export interface EngineAnswer {
  readonly body: object
  /** Tokens to account for. */
  readonly promptTokens: number
}

export interface AnswerFraming {
  readonly contentType: string
  /** May be written at any time between two events, and means nothing: an SSE comment, or JSON whitespace. */
  readonly keepAlive: string
  /** An error may follow the head within this format. Where false, a broken answer must be cut off. */
  readonly carriesErrors: boolean
  /** The end of an answer that failed after its head. */
  error(error: TokenmillError): string
}

/** Reads and rewrites a request and its answer without parsing them whole. */
export interface ByteCodec {
  /** What routing needs. Throws `invalid_request` for what is no JSON object or has malformed fields. */
  scan(body: Buffer): RequestScan
  /** The body for an engine, with its own name of the model. */
  rewrite(scan: RequestScan, engineModel: string): Buffer
  streamTap(options: StreamTapOptions): StreamTap
  answerTap(options: AnswerTapOptions): AnswerTap
  /** What the client has read of a stream, to continue it; undefined where it cannot be continued. */
  readSaid(frames: Buffer): Said | undefined
}
