/**
 * The bytes that all content events of one stream share. Servers send them by the hundred, equal but for the text:
 *
 *   data: {"id":"c-1",…,"delta":{"content":"  ␣the  "},"finish_reason":null}]}⏎⏎
 *   └──────────────── prefix ───────────────┘ text └────────── suffix ─────────┘
 *
 * Once one of them has been parsed, an event with the same prefix and suffix is known to mean the same with other
 * text, and needs no parser: this is an equality of bytes, not a guess about JSON.
 */
export interface FrameTemplate {
  readonly prefix: Buffer
  /** From the quote that ends the text to the blank line. */
  readonly suffix: Buffer
}

/** Texts of choices, by the names that servers give them. */
const textKeys = ['content', 'reasoning_content', 'reasoning', 'text']
/** What no server's text is: put in its place, it must come out of the parser as the text. */
const sentinel = 'tokenmill-probe'

const quote = 0x22
const backslash = 0x5c

/**
 * The template of an event whose data was `json`; undefined where the text is not found. `textOf` reads an event as the
 * stream's owner does, and gives undefined for one that says anything but text.
 */
export function learnTemplate(json: string, textOf: (json: string) => string | undefined): FrameTemplate | undefined {
  const text = textOf(json)
  if (text === undefined || text === '') return undefined
  for (const key of textKeys) {
    const name = `"${key}":`
    for (let at = json.indexOf(name); at >= 0; at = json.indexOf(name, at + 1)) {
      const start = json[at + name.length] === ' ' ? at + name.length + 1 : at + name.length
      if (json[start] !== '"') continue
      const end = endOfString(json, start + 1)
      const [prefix, suffix] = [json.slice(0, start + 1), json.slice(end)]
      if (end < 0 || textOf(`${prefix}${sentinel}${suffix}`) !== sentinel) continue
      return { prefix: Buffer.from(`data: ${prefix}`), suffix: Buffer.from(`${suffix}\n\n`) }
    }
  }
  return undefined
}

/** Where the string that begins before `from` has its closing quote; −1 where it has none. */
function endOfString(json: string, from: number): number {
  for (let at = from; at < json.length; at += 1) {
    if (json[at] === '\\') at += 1
    else if (json[at] === '"') return at
  }
  return -1
}

/**
 * Where the text of the event at `start` ends, when it is the template's: the offset of its closing quote. −1 where it
 * is not, where it has not come whole, where its text needs a decoder (escapes, anything but printable ASCII), and
 * where it has none: what an event without text means lies in its other keys.
 */
export function matchTemplate(template: FrameTemplate, bytes: Buffer, start: number, end: number): number {
  const { prefix, suffix } = template
  if (end - start < prefix.length + suffix.length) return -1
  for (let i = 0; i < prefix.length; i += 1) if (bytes[start + i] !== prefix[i]) return -1
  let at = start + prefix.length
  for (; at < end; at += 1) {
    const byte = bytes[at] ?? 0
    if (byte === quote) break
    if (byte === backslash || byte < 0x20 || byte > 0x7e) return -1
  }
  if (at === start + prefix.length || end - at < suffix.length) return -1
  for (let i = 0; i < suffix.length; i += 1) if (bytes[at + i] !== suffix[i]) return -1
  return at
}
