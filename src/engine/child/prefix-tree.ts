/**
 * Whose KV cells begin with these tokens? A radix tree over the contents of all streams of the KV cache.
 *
 *   root ─ "You are a helpful…" ─┬─ "Hi!" ──────── leaf: stream 3 (running, grows)
 *                                ├─ "What is 2+2?" ┬─ leaf: stream 0 (ended, kept)
 *                                │                 └─ leaf: stream 5 (a fork of the same prompt)
 *                                └─ leaf: stream 1 (holds the shared part alone)
 *
 * An inner edge is a range of some holder's token array, by absolute positions. A leaf's edge is open: it ends where
 * its holder's tokens end now, so that a generated token costs no work here. Two leaves may therefore come to agree
 * on tokens after they parted; `match` looks at all of them.
 *
 * The tree owns no cells and no arrays. Whoever frees or overwrites a holder's cells removes the holder first.
 */
export class PrefixTree {
  readonly #root: Node = {
    tokens: new Int32Array(0),
    start: 0,
    end: 0,
    children: [],
    parent: undefined,
    holder: undefined,
  }
  readonly #leaves = new Map<Holder, Node>()

  get size(): number {
    return this.#leaves.size
  }

  has(holder: Holder): boolean {
    return this.#leaves.has(holder)
  }

  insert(holder: Holder): void {
    let node = this.#root
    for (;;) {
      const depth = node.end
      const next = longestChild(node, holder.tokens, depth, holder.length)
      if (next === undefined) break
      const edge = endOf(next.child)
      node =
        next.child.holder === undefined && depth + next.common === edge
          ? next.child
          : split(node, next.child, depth + next.common)
    }
    const leaf: Node = { tokens: holder.tokens, start: node.end, end: 0, children: [], parent: node, holder }
    node.children.push(leaf)
    this.#leaves.set(holder, leaf)
  }

  remove(holder: Holder): void {
    const leaf = this.#leaves.get(holder)
    const parent = leaf?.parent
    if (leaf === undefined || parent === undefined) return
    this.#leaves.delete(holder)
    parent.children.splice(parent.children.indexOf(leaf), 1)
    const only = parent.children[0]
    if (parent.parent === undefined || only === undefined || parent.children.length > 1) return
    // An inner node with one child is no fork any more; its child's array holds the same tokens at the same places.
    only.start = parent.start
    only.parent = parent.parent
    parent.parent.children[parent.parent.children.indexOf(parent)] = only
  }

  /** Every holder that begins like `tokens[0, length)`, with the number of tokens they share (≥ 1). */
  match(tokens: Int32Array, length: number): PrefixMatch[] {
    const found: PrefixMatch[] = []
    matchBelow(this.#root, tokens, length, found)
    return found
  }

  /** Distinct cells behind the given holders: shared edges count once. */
  countCells(among: (holder: Holder) => boolean): number {
    return countBelow(this.#root, among).cells
  }
}

/** A sequence, running or ended, whose tokens are in the KV cache or on their way there. */
export interface Holder {
  /** The known tokens; grows in place or is replaced by a longer copy. */
  readonly tokens: Int32Array
  /** How many of them are known. */
  readonly length: number
  /** How many of those are in the KV cache. */
  readonly computed: number
  /** Whose weights computed them: cells of different adapters are never each other's prefix. */
  readonly adapter: number
  /** Where in the KV cache. */
  stream: number
}

export interface PrefixMatch {
  readonly holder: Holder
  readonly common: number
}

interface Node {
  tokens: Int32Array
  /** Absolute positions [start, end) of the edge that leads here. `end` of a leaf is its holder's length. */
  start: number
  readonly end: number
  readonly children: Node[]
  parent: Node | undefined
  readonly holder: Holder | undefined
}

function endOf(node: Node): number {
  return node.holder === undefined ? node.end : node.holder.length
}

function tokensOf(node: Node): Int32Array {
  return node.holder === undefined ? node.tokens : node.holder.tokens
}

/** Tokens that the child's edge shares with `tokens` from position `depth` on. */
function commonWith(child: Node, tokens: Int32Array, depth: number, length: number): number {
  const edge = tokensOf(child)
  const until = Math.min(endOf(child), length)
  let at = depth
  while (at < until && edge[at] === tokens[at]) at += 1
  return at - depth
}

function longestChild(node: Node, tokens: Int32Array, depth: number, length: number) {
  let best: { readonly child: Node; readonly common: number } | undefined
  for (const child of node.children) {
    const common = commonWith(child, tokens, depth, length)
    if (common > (best?.common ?? 0)) best = { child, common }
  }
  return best
}

/** Puts a fork at position `at` of the edge from `parent` to `child`. */
function split(parent: Node, child: Node, at: number): Node {
  const fork: Node = {
    tokens: tokensOf(child),
    start: child.start,
    end: at,
    children: [child],
    parent,
    holder: undefined,
  }
  parent.children[parent.children.indexOf(child)] = fork
  child.start = at
  child.parent = fork
  return fork
}

function matchBelow(node: Node, tokens: Int32Array, length: number, found: PrefixMatch[]): void {
  for (const child of node.children) {
    const common = commonWith(child, tokens, node.end, length)
    const reached = node.end + common
    if (reached === 0) continue
    if (child.holder === undefined && reached === child.end) matchBelow(child, tokens, length, found)
    else collect(child, reached, found)
  }
}

function collect(node: Node, common: number, found: PrefixMatch[]): void {
  if (node.holder !== undefined) found.push({ holder: node.holder, common })
  for (const child of node.children) collect(child, common, found)
}

/** `reach`: how far below this node some counted holder has computed. */
function countBelow(node: Node, among: (holder: Holder) => boolean): { cells: number; reach: number } {
  let cells = 0
  let reach = node.holder !== undefined && among(node.holder) ? node.holder.computed : 0
  for (const child of node.children) {
    const below = countBelow(child, among)
    cells += below.cells
    reach = Math.max(reach, below.reach)
  }
  return { cells: cells + Math.max(0, Math.min(reach, endOf(node)) - node.start), reach }
}
