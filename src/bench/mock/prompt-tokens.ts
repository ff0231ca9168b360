import { createHash } from 'node:crypto'

/**
 * The mock's tokenizer: a token is a word with the blanks before it, so that a test knows each count by reading
 * the prompt. A chat is its messages one after the other, each led by one token for its role.
 */
export function splitTokens(text: string): string[] {
  return text.match(/\s*\S+/g) ?? []
}

/** Text of a chat as the mock's model sees it. Content parts that are not text count as one token each. */
export function renderChat(messages: readonly unknown[]): string {
  return messages.map((message) => renderMessage(message)).join('\n')
}

function renderMessage(message: unknown): string {
  if (typeof message !== 'object' || message === null) return '<|unknown|>'
  const { role, content } = message as { role?: unknown; content?: unknown }
  const text = typeof content === 'string' ? content : Array.isArray(content) ? content.map(renderPart).join(' ') : ''
  return `<|${typeof role === 'string' ? role : 'unknown'}|> ${text}`
}

function renderPart(part: unknown): string {
  const text = (part as { text?: unknown } | null)?.text
  return typeof text === 'string' ? text : '<|part|>'
}

/**
 * A prefix cache as engines keep it: prompts are cut into blocks of `blockTokens`, each block known by the hash
 * of everything up to its end. Least recently used blocks leave when `capacityBlocks` is reached.
 */
export class PrefixCache {
  readonly #blockTokens: number
  readonly #capacityBlocks: number
  /** Hash of a prefix → nothing; the Map's order is the order of use. */
  readonly #blocks = new Map<string, true>()

  constructor(blockTokens: number, capacityBlocks: number) {
    this.#blockTokens = blockTokens
    this.#capacityBlocks = capacityBlocks
  }

  get size(): number {
    return this.#blocks.size
  }

  /**
   * How many leading tokens are cached (a multiple of the block size, and never the whole prompt: the last token
   * must be computed to get the next one); the prompt's full blocks are cached from now on.
   */
  lookUpAndInsert(tokens: readonly string[]): number {
    if (this.#capacityBlocks === 0) return 0
    const hashes: string[] = []
    let chain = ''
    for (let end = this.#blockTokens; end <= tokens.length; end += this.#blockTokens) {
      const block = tokens.slice(end - this.#blockTokens, end).join('')
      chain = createHash('sha1').update(chain).update(block).digest('base64')
      hashes.push(chain)
    }
    const firstMiss = hashes.findIndex((hash) => !this.#blocks.has(hash))
    const hits = firstMiss < 0 ? hashes.length : firstMiss
    for (const hash of hashes) {
      this.#blocks.delete(hash)
      this.#blocks.set(hash, true)
    }
    for (const hash of this.#blocks.keys()) {
      if (this.#blocks.size <= this.#capacityBlocks) break
      this.#blocks.delete(hash)
    }
    const cached = hits * this.#blockTokens
    return cached === tokens.length && hits > 0 ? cached - this.#blockTokens : cached
  }
}
