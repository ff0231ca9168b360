import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type YAMLError,
} from 'yaml'

export type Path = readonly (string | number)[]

/** Something wrong in the file, and where. Lines and columns count from 1. */
export interface Problem {
  readonly path: Path
  readonly line: number
  readonly column: number
  readonly message: string
}

/** Where a value comes from. */
export interface Origin {
  readonly line: number
  /** Environment variables that were put into it. */
  readonly variables: readonly string[]
}

/**
 * A YAML file with its positions: `${NAME}` in any text is replaced from the environment (`${NAME:-else}` where it may
 * be unset, `$${` for the characters themselves), and each place can be found again by its path.
 */
export class ConfigDocument {
  /** Of the YAML itself, and variables that are not set. */
  readonly problems: Problem[] = []
  readonly value: unknown
  readonly #document: Document
  readonly #lines = new LineCounter()
  readonly #variables = new Map<Node, string[]>()

  constructor(text: string, env: Readonly<Record<string, string | undefined>>) {
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: true })
    // The first error is the mistake; those after it are its echo.
    const [broken] = this.#document.errors
    for (const error of broken === undefined ? this.#document.warnings : [broken]) {
      const { line, col } = this.#lines.linePos(error.pos[0])
      this.problems.push({ path: [], line, column: col, message: messageOf(error, text) })
    }
    if (this.#document.errors.length === 0) this.#interpolate(env)
    this.value = this.#document.errors.length > 0 ? undefined : this.#toValue()
  }

  /** An alias may stand for a tree of aliases: a hundred of them are a file, a million an attack. */
  #toValue(): unknown {
    try {
      return this.#document.toJS({ maxAliasCount: 100 })
    } catch (error) {
      const aliases = error instanceof ReferenceError
      const message = aliases
        ? 'aliases (*name) stand for more than 100 copies; write them out'
        : 'is nested too deeply'
      let node: Node | undefined
      visit(this.#document, { Alias: (_, alias) => void (node = alias) })
      const { line, column } = node === undefined ? { line: 1, column: 1 } : this.#position(node)
      this.problems.push({ path: [], line, column, message })
      return undefined
    }
  }

  /** A problem at the path, or at the nearest place above it that the file has. */
  problemAt(path: Path, message: string): Problem {
    const { line, column } = this.#place(path)
    return { path, line, column, message }
  }

  /** Where the value at the path stands; undefined where the file does not have it. */
  originAt(path: Path): Origin | undefined {
    const node = this.#nodeAt(path)
    if (node === undefined) return undefined
    return { line: this.#position(node).line, variables: this.#variables.get(node) ?? [] }
  }

  #interpolate(env: Readonly<Record<string, string | undefined>>): void {
    visit(this.#document, {
      Scalar: (key, node) => {
        if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return
        const used: string[] = []
        const before = node.value
        const text = before.replaceAll(
          /(\$?)\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g,
          (whole, escape: string, name: string, otherwise?: string) => {
            if (escape === '$') return whole.slice(1)
            const found = env[name] ?? otherwise
            if (found === undefined) {
              const { line, column } = this.#position(node)
              this.problems.push({ path: [], line, column, message: `the environment variable ${name} is not set` })
              return ''
            }
            used.push(name)
            return found
          },
        )
        // Unquoted, a number from the environment is a number: `port: ${PORT}`.
        const plain =
          node.type === 'PLAIN' && /^-?\d+(\.\d+)?$/.test(text) && used.length === 1 && /^\$\{[^}]*\}$/.test(before)
        node.value = plain ? Number(text) : text
        this.#variables.set(node, used)
      },
    })
  }

  #nodeAt(path: Path): Node | undefined {
    let node: unknown = this.#document.contents
    for (const step of path) {
      if (isAlias(node)) node = node.resolve(this.#document)
      if (!isMap(node) && !isSeq(node)) return undefined
      node = node.get(step, true)
    }
    if (isAlias(node)) node = node.resolve(this.#document)
    return isScalar(node) || isMap(node) || isSeq(node) ? node : undefined
  }

  #place(path: Path): { line: number; column: number } {
    for (let length = path.length; length >= 0; length -= 1) {
      // A key that should not be there is pointed at itself.
      const parent = this.#nodeAt(path.slice(0, Math.max(0, length - 1)))
      const key = path[length - 1]
      if (isMap(parent)) {
        const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === key)
        if (pair !== undefined && isScalar(pair.key)) return this.#position(pair.key)
      }
      const node = this.#nodeAt(path.slice(0, length))
      if (node !== undefined && length > 0) return this.#position(node)
    }
    return { line: 1, column: 1 }
  }

  #position(node: Node): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(node.range?.[0] ?? 0)
    return { line, column: col }
  }
}

function messageOf({ message, pos }: YAMLError, text: string): string {
  // The parser calls itself for each level, and reports that its stack was too small for them.
  if (message.startsWith('Maximum call stack')) return 'is nested too deeply'
  return hintOf(text, pos[0]) ?? message
}

/** Within `{…}` and `[…]` a plain text may not hold braces: the usual slip, and YAML's own words do not tell. */
function hintOf(text: string, at: number): string | undefined {
  const variable = /^\$?\{[A-Za-z_][^}]*\}/.exec(text.slice(at))?.[0]
  if (variable === undefined || (!variable.startsWith('$') && text[at - 1] !== '$')) return undefined
  return `within { } or [ ] a variable needs quotes: "${variable.startsWith('$') ? '' : '$'}${variable}"`
}

/** `models[0].endpoints[1].url` */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    const name = /^[\w$-]+$/.test(step) ? step : JSON.stringify(step)
    return text === '' ? name : `${text}.${name}`
  }, '')
}
