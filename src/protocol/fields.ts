import { limitError, TokenmillError } from '../core/index.ts'

/**
 * Reads a parsed JSON object field by field. Every complaint is `invalid_request` and names the JSON path, the
 * actual value and what would be right. A null counts as absent, because client libraries send it for "not set".
 * Fields that nobody asks for are ignored: clients send more than any server knows.
 */
export class Fields {
  readonly #object: Readonly<Record<string, unknown>>
  readonly #path: string

  private constructor(object: Readonly<Record<string, unknown>>, path: string) {
    this.#object = object
    this.#path = path
  }

  /** The reader of an object. `path` is empty for the body itself. */
  static of(value: unknown, path = ''): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(path, value, 'an object')
    return new Fields(value as Readonly<Record<string, unknown>>, path)
  }

  /** The JSON path of a field of this object. */
  path(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`
  }

  /** The value as it is; undefined for absent and null. */
  raw(name: string): unknown {
    return Object.hasOwn(this.#object, name) ? (this.#object[name] ?? undefined) : undefined
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined
  }

  names(): readonly string[] {
    return Object.keys(this.#object)
  }

  string(name: string): string | undefined {
    const value = this.raw(name)
    if (value === undefined || typeof value === 'string') return value
    throw wrongType(this.path(name), value, 'a string')
  }

  requiredString(name: string): string {
    return this.string(name) ?? this.#missing(name, 'a string')
  }

  /** One of the words; any other is refused with the list. */
  word<const Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const value = this.string(name)
    if (value === undefined) return undefined
    const found = words.find((word) => word === value)
    if (found !== undefined) return found
    throw invalid(this.path(name), `is ${quote(value)}; it must be one of ${words.map(quote).join(', ')}.`)
  }

  boolean(name: string): boolean | undefined {
    const value = this.raw(name)
    if (value === undefined || typeof value === 'boolean') return value
    throw wrongType(this.path(name), value, 'true or false')
  }

  number(name: string, minimum: number, maximum: number): number | undefined {
    const value = this.raw(name)
    if (value === undefined) return undefined
    const range = `a number from ${minimum} to ${maximum}`
    if (typeof value !== 'number') throw wrongType(this.path(name), value, range)
    if (!(value >= minimum && value <= maximum)) throw invalid(this.path(name), `is ${value}; it must be ${range}.`)
    return value
  }

  integer(name: string, minimum: number, maximum: number = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.raw(name)
    if (value === undefined) return undefined
    const range =
      maximum === Number.MAX_SAFE_INTEGER
        ? `an integer of at least ${minimum}`
        : `an integer from ${minimum} to ${maximum}`
    if (typeof value !== 'number') throw wrongType(this.path(name), value, range)
    if (!Number.isInteger(value) || value < minimum || value > maximum) {
      throw invalid(this.path(name), `is ${value}; it must be ${range}.`)
    }
    return value
  }

  object(name: string): Fields | undefined {
    const value = this.raw(name)
    return value === undefined ? undefined : Fields.of(value, this.path(name))
  }

  requiredObject(name: string): Fields {
    return this.object(name) ?? this.#missing(name, 'an object')
  }

  /** An array of at most `limit.maximum` entries. */
  array(name: string, limit?: Limit): readonly unknown[] | undefined {
    const value = this.raw(name)
    if (value === undefined) return undefined
    if (!Array.isArray(value)) throw wrongType(this.path(name), value, 'an array')
    if (limit !== undefined) checkLength(value.length, this.path(name), limit)
    return value
  }

  requiredArray(name: string, limit?: Limit): readonly unknown[] {
    return this.array(name, limit) ?? this.#missing(name, 'an array')
  }

  /** Refuses with `unsupported`: well formed, but nothing here can honour it. */
  refuse(name: string, why: string): never {
    throw unsupported(this.path(name), why)
  }

  #missing(name: string, expected: string): never {
    throw invalid(this.path(name), `is missing; it must be ${expected}.`)
  }
}

export interface Limit {
  readonly name: string
  readonly maximum: number
  readonly unit: string
}

export function invalid(path: string, complaint: string): TokenmillError {
  return new TokenmillError('invalid_request', `${path || 'The body'} ${complaint}`, path === '' ? {} : { param: path })
}

export function unsupported(path: string, why: string): TokenmillError {
  return new TokenmillError('unsupported', `${path} is not supported: ${why}`, { param: path })
}

export function wrongType(path: string, value: unknown, expected: string): TokenmillError {
  return invalid(path, `is ${describe(value)}; it must be ${expected}.`)
}

/** Throws `limit_exceeded` where an array is longer than its limit. */
export function checkLength(length: number, path: string, limit: Limit): void {
  if (length <= limit.maximum) return
  const error = limitError(limit, length, path, 'Send fewer, or raise the limit.')
  throw new TokenmillError(error.code, error.message, { ...error.details, param: path })
}

/** Throws where a value that is kept as it is nests deeper than `maximum` levels. Iterative: depth is the danger. */
export function checkDepth(value: unknown, path: string, maximum: number): void {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > maximum) {
      throw new TokenmillError(
        'limit_exceeded',
        `${path} nests deeper than the limit 'maxJsonDepth' of ${maximum} levels. Flatten it.`,
        { param: path, limit: 'maxJsonDepth', maximum, unit: 'levels' },
      )
    }
    const next: unknown[] = []
    for (const item of level) {
      if (typeof item === 'object' && item !== null) for (const child of Object.values(item)) next.push(child)
    }
    level = next
  }
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'string') return `the string ${quote(value)}`
  return `the ${typeof value} ${JSON.stringify(value)}`
}

/** The text as JSON, cut to what an error message can carry. */
function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}
