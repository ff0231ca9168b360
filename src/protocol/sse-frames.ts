/** Last frame of an OpenAI stream. */
export const sseDone = 'data: [DONE]\n\n'

/** A comment: keeps proxies and clients from giving up while nothing else is written. */
export const ssePing = ': ping\n\n'

/** One frame. JSON text has no raw line break, so one `data:` line carries it. */
export function sseFrame(json: string): string {
  return `data: ${json}\n\n`
}
