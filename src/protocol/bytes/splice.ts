/** Replaces the bytes from `start` to `end` (exclusive) by a text. Equal offsets insert. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** The bytes with all edits made. Edits do not overlap; equal starts apply in the order given. The input is not changed. */
export function splice(bytes: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return bytes
  const ordered = edits.length === 1 ? edits : edits.toSorted((a, b) => a.start - b.start)
  let length = bytes.length
  for (const edit of ordered) length += Buffer.byteLength(edit.text) - (edit.end - edit.start)
  const result = Buffer.allocUnsafe(length)
  let from = 0
  let to = 0
  for (const edit of ordered) {
    to += bytes.copy(result, to, from, edit.start)
    to += result.write(edit.text, to)
    from = edit.end
  }
  bytes.copy(result, to, from)
  return result
}

/** Offsets of a value; `end` is exclusive. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** The bytes of a member whose value is at `span`, with the comma that would be left over. */
export function memberAround(bytes: Buffer, value: Span): Span {
  // The key's quotes are the last two before the colon, however the key is escaped.
  const keyEnd = bytes.lastIndexOf(0x22, value.start - 1)
  let start = bytes.lastIndexOf(0x22, keyEnd - 1)
  let end = value.end
  while (isSpace(bytes[end])) end += 1
  if (bytes[end] === 0x2c) return { start, end: end + 1 }
  while (isSpace(bytes[start - 1])) start -= 1
  if (bytes[start - 1] === 0x2c) start -= 1
  return { start, end }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}
