import { BoundedQueue, type QueueEntry } from '../core/index.ts'
import type { BlockHash } from './token-hash.ts'

export interface KvBlockSettings {
  readonly blockTokens: number
  /** Most blocks that sequences hold at once. */
  readonly blocks: number
  /**
   * Most idle blocks kept for the next prompt that begins alike. Undefined: idle blocks lie in the pool itself and give way to
   * sequences, as in vLLM. A number: they lie beside it, as in an engine that moves them to the host's memory; 0 keeps none.
   */
  readonly cachedBlocks: number | undefined
}

/** A block held by at least one sequence, or idle. */
export interface KvBlock {
  /** Undefined: not complete, or another block has the same content. */
  hash: BlockHash | undefined
  users: number
  idle: QueueEntry<KvBlock> | undefined
}

/**
 * The paged KV cache of an engine with prefix caching.
 *
 *   a sequence:  [ shared │ shared │ own │ own… ]     each block full and findable by the hash of all up to its end, but the last
 *   idle:        oldest → [ b ] [ b ] [ b ] ← newest   complete blocks that nobody holds, evicted from the oldest
 *
 * A sequence owns its list of blocks; what it takes here it gives back with `release`, exactly once.
 */
export class KvBlocks {
  readonly #settings: KvBlockSettings
  readonly #byHash = new Map<BlockHash, KvBlock>()
  readonly #idle = new BoundedQueue<KvBlock>(Number.MAX_SAFE_INTEGER)
  #used = 0

  constructor(settings: KvBlockSettings) {
    this.#settings = settings
  }

  get blockTokens(): number {
    return this.#settings.blockTokens
  }

  /** Blocks held by sequences; one that several share counts once. */
  get used(): number {
    return this.#used
  }

  /** Blocks that a prompt could find again though nobody holds them. */
  get idle(): number {
    return this.#idle.size
  }

  get capacity(): number {
    return this.#settings.blocks
  }

  /** Takes the leading blocks that are cached, at most `most` of them, in the order of their hashes. */
  takePrefix(hashOf: (block: number) => BlockHash, most: number): KvBlock[] {
    const taken: KvBlock[] = []
    while (taken.length < most) {
      const block = this.#byHash.get(hashOf(taken.length))
      if (block === undefined) break
      if (block.users === 0) {
        if (this.#used >= this.#settings.blocks) break
        this.#used += 1
        if (block.idle !== undefined) this.#idle.remove(block.idle)
        block.idle = undefined
      }
      block.users += 1
      taken.push(block)
    }
    this.#evict()
    return taken
  }

  /** Adds blocks until the list holds `tokens` tokens. False, and nothing added, where the pool has too few. */
  grow(list: KvBlock[], tokens: number): boolean {
    const missing = Math.ceil(tokens / this.#settings.blockTokens) - list.length
    if (missing <= 0) return true
    if (this.#used + missing > this.#settings.blocks) return false
    for (let added = 0; added < missing; added += 1) list.push({ hash: undefined, users: 1, idle: undefined })
    this.#used += missing
    this.#evict()
    return true
  }

  /** The block is complete: from now on a prompt with this prefix finds it, unless another block is found already. */
  complete(block: KvBlock, hash: BlockHash): void {
    if (block.hash !== undefined || this.#settings.cachedBlocks === 0 || this.#byHash.has(hash)) return
    block.hash = hash
    this.#byHash.set(hash, block)
  }

  /** Gives all blocks of the list back and empties it. The end of a prefix is evicted before its beginning. */
  release(list: KvBlock[]): void {
    for (let block = list.pop(); block !== undefined; block = list.pop()) {
      block.users -= 1
      if (block.users > 0) continue
      this.#used -= 1
      if (block.hash !== undefined) block.idle = this.#idle.push(block)
    }
    this.#evict()
  }

  #evict(): void {
    const { blocks, cachedBlocks = blocks - this.#used } = this.#settings
    while (this.#idle.size > cachedBlocks) {
      const oldest = this.#idle.shift()
      if (oldest?.hash !== undefined) this.#byHash.delete(oldest.hash)
    }
  }
}
