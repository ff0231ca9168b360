/** Last frame of an OpenAI stream. */
export const sseDone = 'data: [DONE]\n\n'

/** A comment: keeps proxies and clients from giving up while nothing else is written. */
export const ssePing = ': ping\n\n'

/**
 * The frames with U+0085, U+2028 and U+2029 escaped, as JSON allows within its strings, where alone they can stand. They
 * end no line of a stream (HTML standard, 9.2.6), but readers that split lines as Python or Unicode do cut frames there.
 */
export function escapeLineEnds(frames: string): string {
  return otherLineEnds.test(frames) ? frames.replace(everyOtherLineEnd, toEscape) : frames
}

const otherLineEnds = /[\u0085\u2028\u2029]/
const everyOtherLineEnd = new RegExp(otherLineEnds, 'g')

function toEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** One frame. JSON text has no raw line break, so one `data:` line carries it. */
export function sseFrame(json: string): string {
  return `data: ${json}\n\n`
}
