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
