import { TokenmillError } from '../../core/index.ts'
import { unenforceable } from './schema-keywords.ts'

/**
 * What becomes of a keyword that no grammar can hold. Where the schema is strict, the request is refused with the
 * keyword's path; else the keyword is left out, the rest binds, and the client is told.
 */
export class Enforcement {
  readonly #strict: boolean
  readonly #left = new Set<string>()

  constructor(strict: boolean) {
    this.#strict = strict
  }

  /** The keywords that were left out, each once. */
  get left(): readonly string[] {
    return [...this.#left]
  }

  /** Throws `unsupported` where the schema is strict. */
  lacks(path: string, keyword: string, what = `'${keyword}'`): void {
    if (this.#strict) throw unenforceable(keyword === '' ? path : `${path}.${keyword}`, what)
    this.#left.add(keyword)
  }

  /** What `attempt` makes; where it passes a limit or cannot be held, and the schema is not strict, `instead`. */
  attempt<T>(keyword: string, attempt: () => T, instead: () => T): T {
    if (this.#strict) return attempt()
    try {
      return attempt()
    } catch (error) {
      if (!(error instanceof TokenmillError) || !leavable.has(error.code)) throw error
      this.#left.add(keyword)
      return instead()
    }
  }
}

const leavable: ReadonlySet<string> = new Set(['unsupported', 'limit_exceeded'])
