import type { GenerationEncoder } from '../generation-call.ts'
import { toErrorBody } from '../errors.ts'
import { sseFrame, ssePing } from '../sse-frames.ts'

/** The writer around a relayed answer: its bytes come from the upstream, only keep-alives and a last error are ours. */
export function relayEncoder(stream: boolean): GenerationEncoder {
  return {
    contentType: stream ? 'text/event-stream; charset=utf-8' : 'application/json',
    keepAlive: stream ? ssePing : '\n',
    carriesErrors: stream,
    event: () => '',
    end: () => '',
    error: (error) => (stream ? sseFrame(JSON.stringify(toErrorBody(error))) : ''),
  }
}
