import type { Backend } from './backend.ts'
import { PrefixTree, type Holder } from './prefix-tree.ts'
import type { Sequence } from './sequence.ts'

/**
 * Which sequence's KV cells are in which stream, and which prefixes can be had for a copy.
 *
 *   stream    0        1        2        3        4        5
 *   owner     seq 12   seq 9    seq 14   –        –        –       running: one dense run of streams
 *   kept      –        –        –        seq 7    –        seq 8   ended, evicted least recently used first
 *
 * A running sequence owns its stream from `place` to `release`. What an ended one computed stays behind as *kept*
 * until its stream is needed. Both are in the prefix tree, so that a new sequence copies what any of them has computed.
 * libllama computes streams side by side only where their numbers are consecutive, so running sequences form one run;
 * `densify` closes the gaps that ended ones leave. Adapters have a prefix tree each: other weights, other cells.
 */
export class KvCache {
  readonly #backend: Backend
  /** A tree for each adapter that was used. */
  readonly #trees = new Map<number, PrefixTree>()
  readonly #owners: (Sequence | undefined)[]
  readonly #kept: (Kept | undefined)[]
  #tick = 0
  /** Prompt tokens looked up in the tree, and found there. */
  queries = 0
  hits = 0

  constructor(backend: Backend) {
    this.#backend = backend
    this.#owners = Array.from({ length: backend.shape.streams })
    this.#kept = Array.from({ length: backend.shape.streams })
  }

  /** Gives the sequence a stream. False: every stream is owned. What the stream holds stays until `begin`. */
  place(sequence: Sequence): boolean {
    const stream = this.#choose(sequence)
    if (stream === undefined) return false
    this.#owners[stream] = sequence
    sequence.stream = stream
    sequence.started = false
    sequence.computed = 0
    return true
  }

  /**
   * Fills the sequence's stream with the longest prefix that is already computed somewhere, and starts it. False: it
   * should wait, because a running sequence is about to compute much more of the same prefix.
   */
  begin(sequence: Sequence): boolean {
    const source = this.#findSource(sequence)
    if (source.worthWaiting) return false
    const { stream } = sequence
    const inPlace = source.holder !== undefined && source.holder.stream === stream
    const holder = source.holder
    let cached = source.length
    if (holder === undefined) this.#vacate(stream)
    else if (inPlace) {
      if (holder.computed > cached && !this.#backend.truncate(stream, cached)) cached = 0
      this.#forget(stream)
    } else {
      this.#forget(stream)
      if (!this.#backend.copy(holder.stream, stream, cached)) cached = 0
      this.#touch(holder)
    }
    sequence.computed = cached
    sequence.started = true
    this.#treeOf(sequence).insert(sequence)
    if (sequence.generated === 0) {
      sequence.cached = cached
      this.queries += sequence.length
      this.hits += cached
    }
    return true
  }

  /** Takes the stream back. `keep`: what was computed stays findable, and evictable. */
  release(sequence: Sequence, keep: boolean): void {
    const { stream } = sequence
    if (stream < 0 || this.#owners[stream] !== sequence) return
    this.#owners[stream] = undefined
    // A sequence that never started owns a stream whose cells are still somebody's kept ones: they stay.
    if (!sequence.started) return
    if (keep && sequence.computed > 0) {
      this.#kept[stream] = { holder: sequence, usedAt: (this.#tick += 1) }
    } else {
      this.#treeOf(sequence).remove(sequence)
      this.#backend.clear(stream)
    }
  }

  /** Frees the least recently used kept cells. False: there are none. */
  evict(): boolean {
    const stream = this.#leastRecent(() => true)
    if (stream === undefined) return false
    this.#vacate(stream)
    return true
  }

  /** Moves running sequences together where ended ones left gaps between them, and those of an adapter side by side. */
  densify(): void {
    if (!this.#backend.shape.wantsDenseStreams) return
    this.#closeGaps()
    this.#groupAdapters()
  }

  #closeGaps(): void {
    for (;;) {
      const streams = this.#ownedStreams()
      const [first] = streams
      const last = streams.at(-1)
      if (first === undefined || last === undefined || last - first + 1 === streams.length) return
      const shorter = this.#computedAt(first) < this.#computedAt(last)
      const hole = shorter ? lastHole(streams) : firstHole(streams)
      this.#swap(shorter ? first : last, hole)
    }
  }

  /** Adapters are computed in passes of their own, and streams that are no neighbours would cost a pass each. */
  #groupAdapters(): void {
    const streams = this.#ownedStreams()
    const adapterAt = (stream: number | undefined) => this.#owners[stream ?? -1]?.adapter
    const groups = Map.groupBy(streams, adapterAt)
    if (groups.size < 2) return
    // Each adapter goes to where most of it is.
    const order = [...groups].sort(([, one], [, other]) => mean(one) - mean(other))
    const wanted = order.flatMap(([adapter, members]) => members.map(() => adapter))
    for (const [at, adapter] of wanted.entries()) {
      const present = adapterAt(streams[at])
      if (present === adapter) continue
      const astray = streams.filter((stream, place) => adapterAt(stream) === adapter && wanted[place] !== adapter)
      // Best is an exchange that puts both in their places.
      const partner = astray.find((stream) => wanted[streams.indexOf(stream)] === present) ?? astray[0]
      if (partner !== undefined) this.#swap(streams[at] ?? 0, partner)
    }
  }

  /** KV cells that running sequences use. */
  runningCells(): number {
    const running = (holder: Holder) => this.#owners[holder.stream] === holder
    if (!this.#backend.shape.wantsDenseStreams) return this.#sum((tree) => tree.countCells(running))
    return this.#owners.reduce((sum, owner) => sum + (owner?.computed ?? 0), 0)
  }

  /** Throws where bookkeeping contradicts itself. For tests: walks everything. */
  assertConsistent(): void {
    let holders = 0
    for (const [stream, owner] of this.#owners.entries()) {
      const kept = this.#kept[stream]
      if (owner !== undefined && owner.stream !== stream)
        throw new Error(`Owner of stream ${stream} is at ${owner.stream}.`)
      if (kept !== undefined && kept.holder.stream !== stream) throw new Error(`Kept cells of ${stream} are elsewhere.`)
      if (owner?.started === true && kept !== undefined) throw new Error(`Stream ${stream} is held twice.`)
      const holder = owner?.started === true ? owner : kept?.holder
      if (holder !== undefined && !this.#treeOf(holder).has(holder))
        throw new Error(`Stream ${stream} is not in the tree.`)
      if (holder !== undefined) holders += 1
    }
    const size = this.#sum((tree) => tree.size)
    if (holders !== size) throw new Error(`The trees hold ${size} contents, the streams ${holders}.`)
  }

  #findSource(sequence: Sequence): Source {
    const { reuse } = this.#backend.shape
    if (sequence.needsAllLogits) return { holder: undefined, length: 0, worthWaiting: false }
    // The last token is always computed: its logits are what the next one is drawn from.
    const matches = this.#treeOf(sequence).match(sequence.tokens, sequence.length - 1)
    let best: Source = { holder: undefined, length: 0, worthWaiting: false }
    let potential = 0
    for (const { holder, common } of matches) {
      const usable = Math.min(common, holder.computed)
      if (reuse === 'whole' && usable < holder.computed) continue
      if (reuse === 'any' && this.#owners[holder.stream] === holder) potential = Math.max(potential, common)
      const better = usable > best.length || (usable === best.length && holder.stream === sequence.stream)
      if (better && usable >= worthCopying(holder, sequence.stream) && this.#backend.isWhole(holder.stream)) {
        best = { holder, length: usable, worthWaiting: false }
      }
    }
    return potential >= best.length + worthWaitingTokens ? { ...best, worthWaiting: true } : best
  }

  /** The stream for a new sequence: next to the running ones, and where least is lost. */
  #choose(sequence: Sequence): number | undefined {
    const owned = this.#ownedStreams()
    if (owned.length === this.#owners.length) return undefined
    const candidates = this.#candidates(owned)
    const source = this.#findSource(sequence)
    const sourceStream = source.holder?.stream
    const mostOfIt = source.length * 2 >= (source.holder?.computed ?? Infinity)
    if (sourceStream !== undefined && mostOfIt && candidates.includes(sourceStream)) return sourceStream
    const empty = candidates.find((stream) => this.#kept[stream] === undefined)
    if (empty !== undefined) return empty
    const stream = this.#leastRecent((candidate) => candidates.includes(candidate) && candidate !== sourceStream)
    const chosen = stream ?? candidates[0]
    if (chosen !== undefined) this.#rescue(chosen, sourceStream)
    return chosen
  }

  #candidates(owned: readonly number[]): number[] {
    const free = this.#owners.keys().filter((stream) => this.#owners[stream] === undefined)
    const [first] = owned
    const last = owned.at(-1)
    if (!this.#backend.shape.wantsDenseStreams || first === undefined || last === undefined) return [...free]
    const within = [...free].filter((stream) => stream >= first - 1 && stream <= last + 1)
    const holes = within.filter((stream) => stream > first && stream < last)
    return holes.length > 0 ? holes : within
  }

  /** Before kept cells are overwritten: moves them to a free stream that is empty, or holds something older. */
  #rescue(stream: number, spare: number | undefined): void {
    const kept = this.#kept[stream]
    if (kept === undefined) return
    const isFree = (other: number) => other !== stream && other !== spare && this.#owners[other] === undefined
    const empty = this.#owners.keys().find((other) => isFree(other) && this.#kept[other] === undefined)
    const target =
      empty ?? this.#leastRecent((other) => isFree(other) && (this.#kept[other]?.usedAt ?? 0) < kept.usedAt)
    if (target === undefined || !this.#backend.shape.wantsDenseStreams) return
    this.#forget(target)
    if (!this.#backend.copy(stream, target, kept.holder.computed)) return
    this.#kept[stream] = undefined
    this.#kept[target] = kept
    kept.holder.stream = target
  }

  #swap(from: number, to: number): void {
    this.#backend.swap(from, to)
    const owner = this.#owners[from]
    this.#owners[from] = this.#owners[to]
    this.#owners[to] = owner
    const kept = this.#kept[from]
    this.#kept[from] = this.#kept[to]
    this.#kept[to] = kept
    for (const stream of [from, to]) {
      const [holder, keptThere] = [this.#owners[stream], this.#kept[stream]?.holder]
      if (holder !== undefined) holder.stream = stream
      if (keptThere !== undefined) keptThere.stream = stream
    }
  }

  /** Removes what the stream keeps from the books; its cells are about to be overwritten. */
  #forget(stream: number): void {
    const kept = this.#kept[stream]
    if (kept === undefined) return
    this.#treeOf(kept.holder).remove(kept.holder)
    this.#kept[stream] = undefined
  }

  #treeOf({ adapter }: Pick<Holder, 'adapter'>): PrefixTree {
    let tree = this.#trees.get(adapter)
    if (tree === undefined) this.#trees.set(adapter, (tree = new PrefixTree()))
    return tree
  }

  #sum(count: (tree: PrefixTree) => number): number {
    return this.#trees.values().reduce((sum, tree) => sum + count(tree), 0)
  }

  #vacate(stream: number): void {
    this.#forget(stream)
    this.#backend.clear(stream)
  }

  #touch(holder: Holder): void {
    const kept = this.#kept[holder.stream]
    if (kept?.holder === holder) this.#kept[holder.stream] = { holder, usedAt: (this.#tick += 1) }
  }

  #leastRecent(among: (stream: number) => boolean): number | undefined {
    let oldest: number | undefined
    let usedAt = Infinity
    for (const [stream, kept] of this.#kept.entries()) {
      if (kept === undefined || kept.usedAt >= usedAt || this.#owners[stream] !== undefined || !among(stream)) continue
      oldest = stream
      usedAt = kept.usedAt
    }
    return oldest
  }

  #ownedStreams(): number[] {
    return [...this.#owners.keys()].filter((stream) => this.#owners[stream] !== undefined)
  }

  #computedAt(stream: number): number {
    return this.#owners[stream]?.computed ?? 0
  }
}

interface Kept {
  readonly holder: Holder
  /** Ticks of the cache's own counter. */
  readonly usedAt: number
}

interface Source {
  readonly holder: Holder | undefined
  readonly length: number
  readonly worthWaiting: boolean
}

/** Waiting a step or more pays when it saves this many tokens: a small prefill chunk costs about as much time. */
const worthWaitingTokens = 32

/**
 * Fewest shared tokens that pay for a copy. Copying a token costs some 1/300 of computing it (2.4 µs against 0.8 ms
 * with 160 million parameters), but the whole content of the source is copied, and each copy costs a fixed half token.
 */
function worthCopying(holder: Holder, target: number): number {
  return holder.stream === target ? 1 : Math.max(4, holder.computed / 100)
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function firstHole(streams: readonly number[]): number {
  let expected = streams[0] ?? 0
  for (const stream of streams) {
    if (stream !== expected) break
    expected += 1
  }
  return expected
}

function lastHole(streams: readonly number[]): number {
  let expected = streams.at(-1) ?? 0
  for (const stream of streams.toReversed()) {
    if (stream !== expected) break
    expected -= 1
  }
  return expected
}
