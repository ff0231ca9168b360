import { toErrorBody } from '../errors.ts'
import type { AnswerFraming } from '../protocol.ts'
import { sseFrame, ssePing } from '../sse-frames.ts'

/** Server-sent events for streams, JSON for whole answers. */
export function openAiFraming(stream: boolean): AnswerFraming {
  return stream ? eventStream : json
}

const eventStream: AnswerFraming = {
  contentType: 'text/event-stream; charset=utf-8',
  keepAlive: ssePing,
  carriesErrors: true,
  error: (error) => sseFrame(JSON.stringify(toErrorBody(error))),
}

const json: AnswerFraming = {
  contentType: 'application/json',
  keepAlive: '\n',
  carriesErrors: false,
  error: (error) => JSON.stringify(toErrorBody(error)),
}
