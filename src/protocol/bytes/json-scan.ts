/**
 * Finds the values of a few top-level keys in the bytes of a JSON object, without parsing the rest. Strings are
 * skipped by searching for the closing quote, so a long prompt costs a native search and no copy.
 *
 *   {"model":"alias","messages":[ … skipped … ],"stream":true}
 *            ^start ^end                                 ^   ^
 *
 * Agrees with JSON.parse on every valid text (a property test holds it): keys written with escapes (`"mod\u0065l"`)
 * are found, whitespace and nesting do not matter. On invalid text it may find spans where JSON.parse throws: the
 * engine that parses the whole rejects it then. A wanted key that occurs twice is reported, since readers differ
 * in which one they take.
 *
 * One instance is used again and again and allocates nothing.
 */
export class ObjectScanner {
  /** Offsets of each wanted key's value, in the order of the keys given; −1 where absent. `end` is exclusive. */
  readonly start: number[]
  readonly end: number[]
  /** A wanted key that occurred more than once in the last scan. */
  duplicate: string | undefined
  /** Offset just past the object. */
  after = -1
  readonly #keys: readonly string[]
  readonly #keyBytes: readonly Buffer[]

  /** `keyBytes` where the same keys are wanted again and again: their bytes, made once. */
  constructor(keys: readonly string[], keyBytes: readonly Buffer[] = toKeyBytes(keys)) {
    this.#keys = keys
    this.#keyBytes = keyBytes
    this.start = keys.map(() => -1)
    this.end = keys.map(() => -1)
  }

  /** Scans the object that begins at `from` (whitespace before it allowed). False where the bytes are no object. */
  scan(bytes: Buffer, from = 0, to = bytes.length): boolean {
    this.start.fill(-1)
    this.end.fill(-1)
    this.duplicate = undefined
    let at = skipSpace(bytes, from, to)
    if (bytes[at] !== openBrace) return false
    at = skipSpace(bytes, at + 1, to)
    if (bytes[at] === closeBrace) return this.#finish(at + 1)
    for (;;) {
      if (at >= to || bytes[at] !== quote) return false
      const keyEnd = skipString(bytes, at, to)
      if (keyEnd < 0) return false
      const wanted = this.#find(bytes, at + 1, keyEnd - 1)
      at = skipSpace(bytes, keyEnd, to)
      if (at >= to || bytes[at] !== colon) return false
      at = skipSpace(bytes, at + 1, to)
      const valueEnd = skipValue(bytes, at, to)
      if (valueEnd < 0) return false
      if (wanted >= 0) {
        if (this.start[wanted] !== -1) this.duplicate = this.#keys[wanted]
        this.start[wanted] = at
        this.end[wanted] = valueEnd
      }
      at = skipSpace(bytes, valueEnd, to)
      if (at >= to) return false
      if (bytes[at] === closeBrace) return this.#finish(at + 1)
      if (bytes[at] !== comma) return false
      at = skipSpace(bytes, at + 1, to)
    }
  }

  #finish(after: number): boolean {
    this.after = after
    return true
  }

  /** Index of the wanted key that the bytes between the quotes spell; −1 for any other. */
  #find(bytes: Buffer, from: number, to: number): number {
    const length = to - from
    for (let index = 0; index < this.#keyBytes.length; index += 1) {
      const key = this.#keyBytes[index]
      if (key?.length === length && equalBytes(bytes, from, key)) return index
    }
    const escaped = bytes.indexOf(backslash, from)
    if (escaped < 0 || escaped >= to) return -1
    try {
      return this.#keys.indexOf(JSON.parse(bytes.toString('utf8', from - 1, to + 1)) as string)
    } catch {
      return -1
    }
  }
}

/** The bytes that an ObjectScanner compares. */
export function toKeyBytes(keys: readonly string[]): readonly Buffer[] {
  return keys.map((key) => Buffer.from(key))
}

/** Calls back for each element of the array at `from`. False where the bytes are no array. */
export function forEachElement(
  bytes: Buffer,
  from: number,
  to: number,
  visit: (start: number, end: number) => void,
): boolean {
  if (bytes[from] !== openBracket) return false
  let at = skipSpace(bytes, from + 1, to)
  if (bytes[at] === closeBracket) return true
  for (;;) {
    const end = skipValue(bytes, at, to)
    if (end < 0) return false
    visit(at, end)
    at = skipSpace(bytes, end, to)
    if (at >= to || bytes[at] === closeBracket) return at < to
    if (bytes[at] !== comma) return false
    at = skipSpace(bytes, at + 1, to)
  }
}

/** Are there only spaces from here to the end? */
export function isBlank(bytes: Buffer, from: number, to = bytes.length): boolean {
  return skipSpace(bytes, from, to) >= to
}

const quote = 0x22
const backslash = 0x5c
const colon = 0x3a
const comma = 0x2c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d

function equalBytes(bytes: Buffer, from: number, key: Buffer): boolean {
  for (let at = 0; at < key.length; at += 1) if (bytes[from + at] !== key[at]) return false
  return true
}

function skipSpace(bytes: Buffer, from: number, to: number): number {
  let at = from
  while (at < to) {
    const byte = bytes[at]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
    at += 1
  }
  return at
}

/** Offset past the string whose opening quote is at `from`; −1 when it does not end before `to`. */
export function skipString(bytes: Buffer, from: number, to: number): number {
  let at = from
  for (;;) {
    at = bytes.indexOf(quote, at + 1)
    if (at < 0 || at >= to) return -1
    let slashes = 0
    while (bytes[at - 1 - slashes] === backslash) slashes += 1
    if (slashes % 2 === 0) return at + 1
  }
}

/** Offset past the value at `from`; −1 when there is none or it does not end before `to`. */
function skipValue(bytes: Buffer, from: number, to: number): number {
  const first = bytes[from]
  if (from >= to || first === undefined) return -1
  if (first === quote) return skipString(bytes, from, to)
  if (first === openBrace || first === openBracket) return skipNested(bytes, from, to)
  let at = from
  while (at < to && !endsScalar(bytes[at])) at += 1
  return at === from ? -1 : at
}

function skipNested(bytes: Buffer, from: number, to: number): number {
  let depth = 0
  let at = from
  while (at < to) {
    const byte = bytes[at]
    if (byte === quote) {
      at = skipString(bytes, at, to)
      if (at < 0) return -1
      continue
    }
    if (byte === openBrace || byte === openBracket) depth += 1
    else if (byte === closeBrace || byte === closeBracket) {
      depth -= 1
      if (depth === 0) return at + 1
    }
    at += 1
  }
  return -1
}

function endsScalar(byte: number | undefined): boolean {
  return (
    byte === comma ||
    byte === closeBrace ||
    byte === closeBracket ||
    byte === 0x20 ||
    byte === 0x0a ||
    byte === 0x0d ||
    byte === 0x09
  )
}
