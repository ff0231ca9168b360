import { describe, expect, it } from 'vitest'
import { FakeBackend } from '../../../tests/support/fake-backend.ts'
import type { BackendShape } from './backend.ts'
import { KvCache } from './kv-cache.ts'
import { Sequence, type Job, type RequestGroup } from './sequence.ts'

let arrivals = 0

function sequenceOf(prompt: readonly number[], adapter = 0): Sequence {
  const tokens = Int32Array.from(prompt)
  const job = {
    key: (arrivals += 1),
    prompt: tokens,
    adapter,
    stop: [],
    turnEndTexts: [],
    minTokens: 0,
  } as unknown as Job
  const group: RequestGroup = {
    job,
    promptTokens: tokens.length,
    deadlineAtMs: Infinity,
    open: 1,
    prefilled: false,
    promptLogprobs: undefined,
  }
  return new Sequence(group, 0, arrivals, tokens)
}

const numbers = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at)

/** A cache whose backend computes what a sequence still lacks. */
function createCache(shape: Partial<BackendShape> = {}, layout: 'streams' | 'unified' = 'streams') {
  const backend = new FakeBackend({ sequenceCells: 200, cells: 800, batchTokens: 200, ...shape }, layout)
  const cache = new KvCache(backend)
  const run = (prompt: readonly number[], adapter = 0): Sequence => {
    const sequence = sequenceOf(prompt, adapter)
    expect(cache.place(sequence)).toBe(true)
    expect(cache.begin(sequence)).toBe(true)
    compute(sequence)
    return sequence
  }
  const compute = (sequence: Sequence): void => {
    const { stream, tokens, computed: from, remaining: count, adapter } = sequence
    backend.decode([{ stream, tokens, from, count, logits: 'last' }], adapter)
    sequence.computed = sequence.length
    cache.assertConsistent()
  }
  const contentOf = ({ stream }: Sequence) => backend.contents[stream]?.map(({ token }) => token)
  return { backend, cache, run, compute, contentOf }
}

describe('KvCache', () => {
  it('copies a running sequence’s prefix, and computes its last token all the same', () => {
    const { cache, run, contentOf } = createCache()
    const first = run(numbers(0, 40))
    const second = run([...numbers(0, 30), 7, 8])
    expect(second.cached).toBe(30)
    expect(contentOf(second)).toEqual([...numbers(0, 30), 7, 8])
    expect(contentOf(first)).toEqual(numbers(0, 40))
    const third = run(numbers(0, 40))
    expect(third.cached).toBe(39)
    expect(cache.hits).toBe(69)
    expect(cache.queries).toBe(40 + 32 + 40)
  })

  it('lets a sequence wait while another one computes the prefix that it wants', () => {
    const { cache, compute } = createCache()
    const [first, second] = [sequenceOf(numbers(0, 60)), sequenceOf([...numbers(0, 50), 9])]
    for (const each of [first, second]) expect(cache.place(each)).toBe(true)
    expect(cache.begin(first)).toBe(true)
    expect(cache.begin(second)).toBe(false)
    compute(first)
    expect(cache.begin(second)).toBe(true)
    expect(second.cached).toBe(50)
  })

  it('goes on in the place of an ended sequence whose tokens it continues, without a copy', () => {
    const { backend, cache, run } = createCache()
    const first = run(numbers(0, 40))
    cache.release(first, true)
    backend.copy = () => {
      throw new Error('Cells were copied.')
    }
    const next = run([...numbers(0, 40), 41, 42])
    expect(next.stream).toBe(first.stream)
    expect(next.cached).toBe(40)
  })

  it('never gives one adapter’s cells to another', () => {
    const { cache, run } = createCache()
    cache.release(run(numbers(0, 40)), true)
    expect(run(numbers(0, 40), 1).cached).toBe(0)
  })

  it('has no place while all streams run, and evicts what ended longest ago first', () => {
    const { cache, run } = createCache({ streams: 3 })
    const [one, two, three] = [run(numbers(0, 20)), run(numbers(100, 20)), run(numbers(200, 20))]
    expect(cache.place(sequenceOf([1, 2, 3]))).toBe(false)
    cache.release(two, true)
    cache.release(one, true)
    // Used again, so that the other one is older now.
    cache.release(run([...numbers(100, 20), 5]), true)
    expect(cache.evict()).toBe(true)
    cache.assertConsistent()
    cache.release(three, true)
    expect(run([...numbers(100, 20), 6]).cached).toBe(20)
    expect(run([...numbers(0, 20), 6]).cached).toBe(0)
  })

  it('has nothing to evict where all that is held runs', () => {
    const { cache, run } = createCache()
    run(numbers(0, 20))
    expect(cache.evict()).toBe(false)
  })

  it('forgets a preempted sequence’s cells: beginning again computes them all', () => {
    const { backend, cache, run } = createCache()
    const sequence = run(numbers(0, 40))
    cache.release(sequence, false)
    expect(backend.usedCells()).toBe(0)
    expect(run(numbers(0, 40)).cached).toBe(0)
  })

  it('moves running sequences together with their cells where others have ended between them', () => {
    const { cache, run, contentOf } = createCache()
    const all = [0, 100, 200, 300].map((from) => run(numbers(from, 20)))
    for (const at of [1, 2]) cache.release(all[at] as Sequence, true)
    cache.densify()
    cache.assertConsistent()
    const running = [all[0] as Sequence, all[3] as Sequence]
    expect(Math.abs((running[0]?.stream ?? 0) - (running[1]?.stream ?? 0))).toBe(1)
    expect(running.map(contentOf)).toEqual([numbers(0, 20), numbers(300, 20)])
    expect(run([...numbers(100, 20), 1]).cached).toBe(20)
  })

  it('reuses a state that cannot be cut whole or not at all', () => {
    const { cache, run } = createCache({ reuse: 'whole' })
    cache.release(run(numbers(0, 40)), true)
    expect(run([...numbers(0, 30), 7]).cached).toBe(0)
    expect(run([...numbers(0, 40), 41]).cached).toBe(40)
  })

  it('counts shared cells once in a common pool', () => {
    const { backend, cache, run } = createCache({}, 'unified')
    run(numbers(0, 40))
    run([...numbers(0, 40), 41, 42])
    expect(cache.runningCells()).toBe(42)
    expect(backend.usedCells()).toBe(42)
  })
})
