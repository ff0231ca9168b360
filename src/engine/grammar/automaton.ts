import { limitError } from '../../core/index.ts'
import { complement as complementOf, contains, intersect as common, unite, type CodePoints } from './code-points.ts'
import { grammarOptions } from './options.ts'
import type { Pattern } from './pattern.ts'

/**
 * A deterministic automaton over code points: state 0 is the start, the sets on a state's edges do not overlap. It
 * is what patterns, formats, lengths and number ranges become, because automata, unlike expressions, can be
 * intersected and complemented. One of them in libllama's grammar costs one stack, whatever it was made from.
 */
export interface Automaton {
  readonly states: readonly AutomatonState[]
}

export interface AutomatonState {
  readonly accepts: boolean
  readonly edges: readonly Edge[]
}

export interface Edge {
  readonly set: CodePoints
  readonly to: number
}

/** The automaton of the texts that the pattern matches as a whole. */
export function automatonOf(pattern: Pattern): Automaton {
  const builder = new Nondeterministic()
  const start = builder.state()
  const end = builder.add(pattern, start)
  return determinize(builder.nodes, start, end)
}

/** The automaton of the texts in which the pattern matches somewhere, as JSON Schema's `pattern` means it. */
export function searchAutomatonOf(pattern: Pattern): Automaton {
  const builder = new Nondeterministic()
  const start = builder.state()
  builder.edge(start, everything, start)
  const end = builder.add(pattern, start)
  const after = builder.state()
  builder.skip(end, after, 'always')
  builder.edge(after, everything, after)
  return determinize(builder.nodes, start, after, after)
}

/** The texts that both take. */
export function intersectAutomata(left: Automaton, right: Automaton): Automaton {
  const explorer = new Explorer<readonly [number, number]>()
  explorer.visit('0,0', [0, 0])
  return explorer.explore(([inLeft, inRight]) => {
    const leftState = left.states[inLeft]
    const rightState = right.states[inRight]
    const edges: { set: CodePoints; key: string; to: readonly [number, number] }[] = []
    for (const a of leftState?.edges ?? []) {
      for (const b of rightState?.edges ?? []) {
        const set = common(a.set, b.set)
        if (set.length > 0) edges.push({ set, key: `${a.to},${b.to}`, to: [a.to, b.to] })
      }
    }
    return { accepts: leftState?.accepts === true && rightState?.accepts === true, edges }
  })
}

/** The texts that the automaton does not take. */
export function complementAutomaton({ states }: Automaton): Automaton {
  const sink = states.length
  const completed = states.map(({ accepts, edges }) => {
    const rest = complementOf(unite(edges.map(({ set }) => set)))
    return { accepts: !accepts, edges: rest.length === 0 ? edges : [...edges, { set: rest, to: sink }] }
  })
  return pruned([...completed, { accepts: true, edges: [{ set: everything, to: sink }] }])
}

export function accepts({ states }: Automaton, text: string): boolean {
  let at = states[0]
  for (const letter of text) {
    const point = letter.codePointAt(0) ?? 0
    const edge = at?.edges.find(({ set }) => contains(set, point))
    at = edge === undefined ? undefined : states[edge.to]
  }
  return at?.accepts === true
}

/** Whether there is no text that the automaton takes. */
export function isEmpty(automaton: Automaton): boolean {
  return automaton.states.every((state) => !state.accepts)
}

const everything: CodePoints = complementOf([])

interface Node {
  readonly edges: { set: CodePoints; to: number }[]
  /** Moves that take no character. `start`: only before the first one; `end`: only behind the last one. */
  readonly skips: { to: number; when: 'always' | 'start' | 'end' }[]
}

/** Thompson's construction. */
class Nondeterministic {
  readonly nodes: Node[] = []

  state(): number {
    const maximum = grammarOptions.maxAutomatonStates.default * 10
    if (this.nodes.length >= maximum) throw tooManyStates(maximum + 1, maximum)
    return this.nodes.push({ edges: [], skips: [] }) - 1
  }

  edge(from: number, set: CodePoints, to: number): void {
    this.nodes[from]?.edges.push({ set, to })
  }

  skip(from: number, to: number, when: 'always' | 'start' | 'end'): void {
    this.nodes[from]?.skips.push({ to, when })
  }

  /** Adds the pattern behind `from` and returns the state behind the pattern. */
  add(pattern: Pattern, from: number): number {
    switch (pattern.kind) {
      case 'set': {
        const to = this.state()
        if (pattern.set.length > 0) this.edge(from, pattern.set, to)
        return to
      }
      case 'sequence':
        return pattern.items.reduce((at, item) => this.add(item, at), from)
      case 'choice': {
        const to = this.state()
        for (const option of pattern.options) {
          const begin = this.state()
          this.skip(from, begin, 'always')
          this.skip(this.add(option, begin), to, 'always')
        }
        return to
      }
      case 'repeat':
        return this.#addRepeat(pattern, from)
      default: {
        const to = this.state()
        this.skip(from, to, pattern.kind)
        return to
      }
    }
  }

  #addRepeat({ item, min, max }: Extract<Pattern, { kind: 'repeat' }>, from: number): number {
    let at = from
    for (let index = 0; index < min; index += 1) at = this.add(item, at)
    if (max === undefined) {
      const loop = this.state()
      this.skip(at, loop, 'always')
      this.skip(this.add(item, loop), loop, 'always')
      const to = this.state()
      this.skip(loop, to, 'always')
      return to
    }
    const to = this.state()
    for (let index = min; index < max; index += 1) {
      this.skip(at, to, 'always')
      at = this.add(item, at)
    }
    this.skip(at, to, 'always')
    return to
  }
}

/** The subset construction, over ranges of code points instead of single ones. `absorbing` goes on with any text. */
function determinize(nodes: readonly Node[], start: number, end: number, absorbing?: number): Automaton {
  const closure = (from: Iterable<number>, atStart: boolean, atEnd: boolean): readonly number[] => {
    const reached = new Set(from)
    for (const at of reached) {
      for (const { to, when } of nodes[at]?.skips ?? []) {
        if (when === 'always' || (when === 'start' && atStart) || (when === 'end' && atEnd)) reached.add(to)
      }
    }
    // Whatever follows is accepted: it does not matter how far the rest has come.
    if (absorbing !== undefined && reached.has(absorbing) && !atEnd) return [absorbing]
    return [...reached].sort((a, b) => a - b)
  }
  const explorer = new Explorer<{ readonly nodes: readonly number[]; readonly atStart: boolean }>()
  explorer.visit('start', { nodes: closure([start], true, false), atStart: true })
  return explorer.explore((subset) => {
    const edges = subset.nodes.flatMap((at) => nodes[at]?.edges ?? [])
    return {
      accepts: closure(subset.nodes, subset.atStart, true).includes(end),
      edges: disjoint(edges).map(({ set, targets }) => {
        const reached = closure(targets, false, false)
        return { set, key: reached.join(','), to: { nodes: reached, atStart: false } }
      }),
    }
  })
}

/** The edges with their sets cut where they overlap, so that each code point has one set of targets. */
function disjoint(edges: readonly Edge[]): readonly { set: CodePoints; targets: readonly number[] }[] {
  const borders = new Set<number>()
  for (const { set } of edges) {
    for (let at = 0; at < set.length; at += 2) borders.add(set[at] ?? 0).add((set[at + 1] ?? 0) + 1)
  }
  const cuts = [...borders].sort((a, b) => a - b)
  const active = new Map<number, number>()
  const changes = new Map<number, { to: number; by: 1 | -1 }[]>()
  const change = (at: number, to: number, by: 1 | -1): void => {
    const list = changes.get(at)
    if (list === undefined) changes.set(at, [{ to, by }])
    else list.push({ to, by })
  }
  for (const { set, to } of edges) {
    for (let at = 0; at < set.length; at += 2) {
      change(set[at] ?? 0, to, 1)
      change((set[at + 1] ?? 0) + 1, to, -1)
    }
  }
  const pieces = new Map<string, { ranges: CodePoints[]; targets: readonly number[] }>()
  for (const [index, first] of cuts.entries()) {
    for (const { to, by } of changes.get(first) ?? []) {
      const count = (active.get(to) ?? 0) + by
      if (count === 0) active.delete(to)
      else active.set(to, count)
    }
    const next = cuts[index + 1]
    if (active.size === 0 || next === undefined) continue
    const targets = [...active.keys()].sort((a, b) => a - b)
    const key = targets.join(',')
    const piece = pieces.get(key)
    if (piece === undefined) pieces.set(key, { ranges: [[first, next - 1]], targets })
    else piece.ranges.push([first, next - 1])
  }
  return [...pieces.values()].map(({ ranges, targets }) => ({ set: unite(ranges), targets }))
}

interface Discovery<T> {
  readonly accepts: boolean
  readonly edges: readonly { readonly set: CodePoints; readonly key: string; readonly to: T }[]
}

/** Numbers states as they are found, within the limit. */
class Explorer<T> {
  readonly #numbers = new Map<string, number>()
  readonly #found: T[] = []

  visit(key: string, state: T): number {
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const maximum = grammarOptions.maxAutomatonStates.default
    if (this.#found.length >= maximum) throw tooManyStates(maximum + 1, maximum)
    this.#numbers.set(key, this.#found.length)
    return this.#found.push(state) - 1
  }

  explore(look: (state: T) => Discovery<T>): Automaton {
    const states: AutomatonState[] = []
    // Visiting appends to the list that is walked here.
    for (const state of this.#found) {
      const { accepts, edges } = look(state)
      const byTarget = new Map<number, CodePoints[]>()
      for (const { set, key, to } of edges) {
        const number = this.visit(key, to)
        byTarget.set(number, [...(byTarget.get(number) ?? []), set])
      }
      states.push({ accepts, edges: [...byTarget].map(([to, sets]) => ({ set: unite(sets), to })) })
    }
    return pruned(states)
  }
}

/** Without the states from which nothing is accepted. Of an empty automaton a start that accepts nothing remains. */
function pruned(states: readonly AutomatonState[]): Automaton {
  const before = states.map((): number[] => [])
  for (const [from, { edges }] of states.entries()) for (const { to } of edges) before[to]?.push(from)
  const alive = new Set<number>()
  const todo = states.flatMap((state, at) => (state.accepts ? [at] : []))
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    if (alive.has(at)) continue
    alive.add(at)
    todo.push(...(before[at] ?? []))
  }
  if (!alive.has(0)) return { states: [{ accepts: false, edges: [] }] }
  const kept = states.flatMap((_, at) => (alive.has(at) ? [at] : []))
  const numbers = new Map(kept.map((at, number) => [at, number]))
  return {
    states: kept.map((at) => {
      const state = states[at]
      return {
        accepts: state?.accepts === true,
        edges: (state?.edges ?? []).flatMap(({ set, to }) => {
          const number = numbers.get(to)
          return number === undefined ? [] : [{ set, to: number }]
        }),
      }
    }),
  }
}

function tooManyStates(actual: number, maximum: number): Error {
  return limitError(
    { name: 'maxAutomatonStates', maximum, unit: 'states' },
    actual,
    'A pattern, format or range of the schema',
    'Write a simpler pattern, or narrower bounds.',
  )
}
