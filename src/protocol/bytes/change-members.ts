import { TokenmillError } from '../../core/index.ts'
import { ObjectScanner, toKeyBytes } from './json-scan.ts'
import { memberAround, splice } from './splice.ts'

/**
 * Changes top-level members of a JSON object in its bytes, and leaves everything else as it stands. Made once for the
 * members that may have to change; a body that has none of them costs one scan.
 */
export class MemberChanger {
  readonly #names: readonly string[]
  readonly #keyBytes: readonly Buffer[]

  constructor(names: readonly string[]) {
    this.#names = names
    this.#keyBytes = toKeyBytes(names)
  }

  /**
   * Asks `change` about each of the members that is there: undefined keeps it, an object takes its place. A function in that
   * object makes a member's new value out of the present one. What `change` throws is thrown.
   */
  apply(body: Buffer, change: (name: string, value: unknown) => Readonly<Record<string, unknown>> | undefined): Buffer {
    let bytes = body
    const scan = new ObjectScanner(this.#names, this.#keyBytes)
    if (!scan.scan(bytes)) return bytes
    const present = this.#names.filter((_, at) => (scan.start[at] ?? -1) >= 0)
    for (const name of present) {
      const value = valueOf(bytes, name)
      if (value === undefined) continue
      const members = change(name, value)
      if (members === undefined) continue
      bytes = withoutMember(bytes, name)
      for (const [each, made] of Object.entries(members)) bytes = withMember(bytes, each, made)
    }
    return bytes
  }
}

function valueOf(bytes: Buffer, name: string): unknown {
  const scan = new ObjectScanner([name])
  scan.scan(bytes)
  const [start = -1] = scan.start
  if (start < 0) return undefined
  try {
    return JSON.parse(bytes.toString('utf8', start, scan.end[0]))
  } catch {
    throw new TokenmillError('invalid_request', `'${name}' is not valid JSON.`, { param: name })
  }
}

function withoutMember(bytes: Buffer, name: string): Buffer {
  const scan = new ObjectScanner([name])
  scan.scan(bytes)
  const [start = -1] = scan.start
  const [end = -1] = scan.end
  return start < 0 ? bytes : splice(bytes, [{ ...memberAround(bytes, { start, end }), text: '' }])
}

function withMember(bytes: Buffer, name: string, made: unknown): Buffer {
  const value: unknown =
    typeof made === 'function' ? (made as (present: unknown) => unknown)(valueOf(bytes, name)) : made
  if (value === undefined) return bytes
  const rest = withoutMember(bytes, name)
  const opening = rest.indexOf(0x7b) + 1
  const comma = /^\s*\}/.test(rest.toString('latin1', opening, opening + 64)) ? '' : ','
  return splice(rest, [
    { start: opening, end: opening, text: `${JSON.stringify(name)}:${JSON.stringify(value)}${comma}` },
  ])
}
