import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../core/index.ts'
import { endToken, FakeBackend, nextToken } from '../../../tests/support/fake-backend.ts'
import type { Vocabulary } from './backend.ts'
import type { LoopEvent } from '../messages.ts'
import type { Job } from './sequence.ts'
import { StepLoop } from './step-loop.ts'
import { LearnedStepModel } from './step-model.ts'

/** What a request gives when nothing else runs. */
function alone(prompt: readonly number[], seed: number, maxTokens: number, room: number): number[] {
  const tokens = [...prompt]
  while (tokens.length - prompt.length < maxTokens && tokens.length < room) {
    const token = nextToken(tokens, seed)
    tokens.push(token)
    if (token === endToken) break
  }
  return tokens.slice(prompt.length)
}

/** Token t has the text `t,`. */
const vocabulary: Vocabulary = {
  piece: (token) => new TextEncoder().encode(`${token},`),
  isEndOfGeneration: (token) => token === endToken,
}

function createJob(key: number, prompt: readonly number[], changes: Partial<Job> = {}): Job {
  return {
    key,
    prompt: Int32Array.from(prompt),
    adapter: 0,
    n: 1,
    maxTokens: 8,
    stop: [],
    ignoreEos: false,
    minTokens: 0,
    stopTokens: [],
    logprobs: undefined,
    promptLogprobs: undefined,
    deadlineMs: undefined,
    shownTokens: new Set(),
    turnEndTokens: [],
    turnEndTexts: [],
    quiet: undefined,
    sampling: {
      temperature: 0,
      topP: 1,
      topK: 0,
      minP: 0,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: [],
      seed: 1,
      grammar: undefined,
    },
    ...changes,
  }
}

function createLoop(backend: FakeBackend, slots = backend.shape.streams, clock = new VirtualClock()): StepLoop {
  return new StepLoop(backend, vocabulary, new LearnedStepModel(), clock, {
    slots,
    stepTargetMs: undefined,
    longestStepMs: 100,
  })
}

/** Steps until nothing is left, checking the books after each step. */
function drain(loop: StepLoop): LoopEvent[] {
  const events: LoopEvent[] = []
  for (let step = 0; loop.busy; step += 1) {
    if (step > 5000) throw new Error('The loop does not come to an end.')
    events.push(...loop.step())
    loop.cache.assertConsistent()
  }
  return events
}

function textsOf(events: readonly LoopEvent[], key: number, index = 0): string {
  return events
    .map((event) => (event.type === 'output' && event.key === key && event.index === index ? event.text : ''))
    .join('')
}

function toText(tokens: readonly number[]): string {
  return tokens
    .filter((token) => token !== endToken)
    .map((token) => `${token},`)
    .join('')
}

function cachedOf(events: readonly LoopEvent[], key: number): number | undefined {
  const event = events.find((event) => event.type === 'prefilled' && event.key === key)
  return event?.type === 'prefilled' ? event.cachedTokens : undefined
}

const prompt = Array.from({ length: 40 }, (_, at) => (at % 37) + 5)

describe('StepLoop.step()', () => {
  it('computes a prefix once for requests that run at the same time', () => {
    const backend = new FakeBackend({})
    const loop = createLoop(backend)
    for (const key of [1, 2, 3, 4]) loop.submit(createJob(key, [...prompt, key], { maxTokens: 3, ignoreEos: true }))
    const events = drain(loop)
    expect([1, 2, 3, 4].map((key) => cachedOf(events, key))).toEqual([0, 40, 40, 40])
    expect(backend.decoded).toBe(41 + 3 + 4 * 2)
    for (const key of [1, 2, 3, 4])
      expect(textsOf(events, key)).toBe(toText(alone([...prompt, key], 1, 3, 64).map((t) => t)))
  })

  it('finds the prefix of a request that has ended', () => {
    const backend = new FakeBackend({})
    const loop = createLoop(backend)
    loop.submit(createJob(1, prompt))
    drain(loop)
    loop.submit(createJob(2, [...prompt, 9, 9]))
    const events = drain(loop)
    expect(cachedOf(events, 2)).toBe(40)
    expect(loop.status()).toMatchObject({ prefixQueries: 82, prefixHits: 40 })
  })

  it('forks n continuations after one prefill, each with a seed of its own', () => {
    const backend = new FakeBackend({})
    const loop = createLoop(backend)
    loop.submit(createJob(1, prompt, { n: 3, maxTokens: 5, ignoreEos: true }))
    const events = drain(loop)
    expect(events.filter((event) => event.type === 'prefilled')).toHaveLength(1)
    expect(backend.decoded).toBe(40 + 2 + 3 * 4)
    const reference = (seed: number) => {
      const tokens = [...prompt]
      while (tokens.length < 45) tokens.push(nextToken(tokens, seed))
      return toText(tokens.slice(40))
    }
    for (const index of [0, 1, 2]) expect(textsOf(events, 1, index)).toBe(reference(1 + index))
  })

  it('computes each adapter in passes of its own, and shares no prefix between them', () => {
    const backend = new FakeBackend({})
    const loop = createLoop(backend)
    for (const [key, adapter] of [0, 1, 0, 1].entries()) {
      loop.submit(createJob(key, prompt, { adapter, maxTokens: 6, ignoreEos: true }))
    }
    const events = drain(loop)
    expect([0, 1, 2, 3].map((key) => cachedOf(events, key))).toEqual([0, 0, 39, 39])
    expect(textsOf(events, 0)).toBe(textsOf(events, 2))
    expect(textsOf(events, 1)).toBe(textsOf(events, 3))
    expect(textsOf(events, 0)).not.toBe(textsOf(events, 1))
    for (const { streams } of backend.batches) {
      expect((streams.at(-1) ?? 0) - (streams[0] ?? 0) + 1).toBe(streams.length)
    }
    // A step begins with the adapter that the last one ended with.
    expect(backend.switches).toBeLessThanOrEqual(loop.status().steps + 1)
  })

  it('computes the prompt and nothing more where no tokens are wanted', () => {
    const backend = new FakeBackend({})
    const loop = createLoop(backend)
    loop.submit(createJob(1, prompt, { maxTokens: 0, n: 2, promptLogprobs: 0 }))
    const events = drain(loop)
    expect(events.map(({ type }) => type)).toEqual(['prefilled', 'finished', 'finished'])
    expect(events[1]).toMatchObject({ reason: 'length' })
    expect(backend.decoded).toBe(40 + 1)
  })

  /** Seed after which this prompt's text ends at once. */
  const shortSeed = Array.from({ length: 1000 }, (_, seed) => seed).find((seed) => nextToken(prompt, seed) === endToken)

  it('does not end before the tokens that are wanted at least, and leaves the raw logits as they were', () => {
    const backend = new FakeBackend({})
    const loop = createLoop(backend)
    const sampling = { ...createJob(0, []).sampling, seed: shortSeed ?? 0 }
    loop.submit(createJob(1, prompt, { sampling }))
    expect(drain(loop).at(-1)).toMatchObject({ type: 'finished', reason: 'stop' })
    loop.submit(createJob(2, prompt, { sampling, minTokens: 6, maxTokens: 6, logprobs: 0, stopTokens: [1, 1] }))
    const events = drain(loop)
    expect(textsOf(events, 2).split(',')).toHaveLength(7)
    expect(textsOf(events, 2)).toMatch(/^2,/)
    expect(events.at(-1)).toMatchObject({ type: 'finished', reason: 'length' })
    expect(backend.logits()).toEqual(new Float32Array(50))
    for (const event of events) {
      if (event.type !== 'output') continue
      for (const { token } of event.logprobs ?? []) expect(token.logprob).toBeCloseTo(-Math.log(50))
    }
  })

  it('takes no stop text that is complete within the least tokens, and takes the first behind them', () => {
    const tokens = alone(prompt, 1, 8, 64)
    const within = `${tokens[1]},`
    const behind = `${tokens[4]},`
    const loop = createLoop(new FakeBackend({}))
    loop.submit(createJob(1, prompt, { minTokens: 4, stop: [within, behind] }))
    const events = drain(loop)
    expect(textsOf(events, 1)).toBe(toText(tokens.slice(0, 4)))
    expect(events.at(-1)).toMatchObject({ type: 'finished', reason: 'stop', stopReason: behind })
  })

  it('ends at a stop token, tells which, and does not show it', () => {
    const tokens = alone(prompt, 1, 8, 64)
    const [stop = -1] = tokens.slice(4)
    const loop = createLoop(new FakeBackend({}))
    loop.submit(createJob(1, prompt, { stopTokens: [stop], ignoreEos: true, logprobs: 0 }))
    const events = drain(loop)
    expect(textsOf(events, 1)).toBe(toText(tokens.slice(0, tokens.indexOf(stop))))
    expect(events.at(-1)).toMatchObject({ type: 'finished', reason: 'stop', stopReason: stop })
    const shown = events.flatMap((event) => (event.type === 'output' ? (event.logprobs ?? []) : []))
    expect(shown.map(({ token }) => token.id)).toEqual(tokens.slice(0, tokens.indexOf(stop)))
    const counted = events.reduce((sum, event) => sum + (event.type === 'output' ? event.tokens : 0), 0)
    expect(counted).toBe(tokens.indexOf(stop) + 1)
  })

  it('evicts the least recently used prefix when a stream is needed', () => {
    const backend = new FakeBackend({ streams: 2 })
    const loop = createLoop(backend)
    const other = prompt.map((token) => token + 3)
    const third = prompt.map((token) => token + 5)
    for (const [key, tokens] of [prompt, other, prompt, third].entries()) {
      loop.submit(createJob(key, tokens, { maxTokens: 1 }))
      drain(loop)
    }
    loop.submit(createJob(10, prompt))
    loop.submit(createJob(11, other))
    const events = drain(loop)
    expect([cachedOf(events, 10), cachedOf(events, 11)]).toEqual([39, 0])
  })

  it('preempts the newest sequence when no KV cell is free, and its output is the same', () => {
    const backend = new FakeBackend({ streams: 8, cells: 100, sequenceCells: 100 }, 'unified')
    const loop = createLoop(backend, 4)
    const prompts = [1, 2, 3, 4].map((key) => prompt.slice(0, 20).map((token) => token + key))
    for (const [key, tokens] of prompts.entries()) {
      loop.submit(createJob(key, tokens, { maxTokens: 30, ignoreEos: true }))
    }
    const events = drain(loop)
    expect(loop.status().preemptions).toBeGreaterThan(0)
    for (const [key, tokens] of prompts.entries()) {
      const expected = [...tokens]
      while (expected.length < 50) expected.push(nextToken(expected, 1))
      expect(textsOf(events, key)).toBe(toText(expected.slice(20)))
    }
  })

  it('keeps running sequences in one dense run of streams', () => {
    const backend = new FakeBackend({ streams: 6 })
    const loop = createLoop(backend)
    for (const [key, maxTokens] of [12, 2, 12, 3, 12, 4].entries()) {
      loop.submit(createJob(key, [key + 1, 7], { maxTokens, ignoreEos: true }))
    }
    const events = drain(loop)
    for (const { streams } of backend.batches) {
      expect((streams.at(-1) ?? 0) - (streams[0] ?? 0) + 1).toBe(streams.length)
    }
    expect(textsOf(events, 4).split(',').length - 1).toBeLessThanOrEqual(12)
  })

  it('bounds what a prompt adds to a step beside running sequences, and joins it at the next step', () => {
    const backend = new FakeBackend({ sequenceCells: 2000, batchTokens: 1024, cells: 8000 })
    const clock = new SetClock()
    // 10 ms a pass, 1 ms a token: what the step model has to find out.
    backend.onDecode = (tokens) => {
      clock.ms += 10 + tokens
    }
    const options = { slots: 4, stepTargetMs: 60, longestStepMs: 1000 }
    const loop = new StepLoop(backend, vocabulary, new LearnedStepModel(), clock, options)
    for (const key of [1, 2]) loop.submit(createJob(key, [key], { maxTokens: 200, ignoreEos: true }))
    for (let step = 0; step < 20; step += 1) loop.step()
    loop.submit(
      createJob(
        3,
        Array.from({ length: 500 }, (_, at) => (at * 7) % 45),
        { maxTokens: 1 },
      ),
    )
    const before = backend.batches.length
    const events: LoopEvent[] = []
    const stepsMs: number[] = []
    while (!isFinished(events, 3)) {
      const beganAtMs = clock.ms
      events.push(...loop.step())
      stepsMs.push(clock.ms - beganAtMs)
    }
    // The streams in one pass, the prompt in the next.
    expect(backend.batches[before]).toMatchObject({ streams: [0, 1], tokens: 2 })
    expect(backend.batches[before + 1]?.streams).toEqual([2])
    expect(Math.max(...stepsMs)).toBeLessThanOrEqual(66)
    expect(stepsMs.length).toBeLessThanOrEqual(Math.ceil(500 / 30))
  })

  it('computes the prompts of a burst together, though the first of them streams already', () => {
    const backend = new FakeBackend({ sequenceCells: 2000, batchTokens: 1024, cells: 8000 })
    const clock = new SetClock()
    backend.onDecode = (tokens) => {
      clock.ms += 10 + tokens
    }
    const loop = new StepLoop(backend, vocabulary, new LearnedStepModel(), clock, {
      slots: 4,
      stepTargetMs: 30,
      longestStepMs: 1000,
    })
    const long = (first: number) => Array.from({ length: 100 }, (_, at) => (first + at * 7) % 45)
    // What a prefill and a decode cost is learnt from the one before.
    loop.submit(createJob(9, long(5), { maxTokens: 10, ignoreEos: true }))
    while (loop.busy) loop.step()
    loop.submit(createJob(1, long(1), { maxTokens: 50, ignoreEos: true }))
    // The others of the burst arrive while the first is computed.
    for (const key of [2, 3]) loop.submit(createJob(key, long(key), { maxTokens: 50, ignoreEos: true }))
    let steps = 0
    while (loop.status().waiting > 0 || !loop.decodesOnly) {
      loop.step()
      steps += 1
      expect(steps).toBeLessThan(20)
    }
    expect(steps).toBeLessThanOrEqual(3)
    // One that arrives later is held to the target: many small chunks.
    for (let told = 0; told < 8; told += 1) loop.step()
    loop.submit(createJob(4, long(4), { maxTokens: 5, ignoreEos: true }))
    let later = 0
    while (!loop.decodesOnly) {
      loop.step()
      later += 1
    }
    expect(later).toBeGreaterThan(5)
  })

  it('computes nothing more of a prompt whose client has left in the middle of it', () => {
    const backend = new FakeBackend({ sequenceCells: 2000, batchTokens: 64, cells: 8000 })
    const loop = createLoop(backend, 4)
    const long = Array.from({ length: 1000 }, (_, at) => (at * 7) % 45)
    loop.submit(createJob(1, long, { maxTokens: 5 }))
    loop.step()
    const computed = backend.batches.reduce((sum, { tokens }) => sum + tokens, 0)
    expect(computed).toBeGreaterThan(0)
    expect(computed).toBeLessThan(1000)
    loop.cancel(1)
    expect(loop.busy).toBe(false)
    expect(loop.step()).toEqual([])
    expect(backend.batches.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(computed)
    expect(backend.samplers).toBe(0)
  })

  it('gives up a request at its deadline, and frees what it held', () => {
    const backend = new FakeBackend({})
    const clock = new SetClock()
    const loop = createLoop(backend, 4, clock)
    loop.submit(createJob(1, prompt, { deadlineMs: 50, maxTokens: 20, ignoreEos: true }))
    loop.step()
    clock.ms = 51
    expect(loop.step()).toContainEqual(expect.objectContaining({ type: 'failed', key: 1, code: 'deadline_exceeded' }))
    expect(loop.busy).toBe(false)
    expect(backend.samplers).toBe(0)
  })

  it('copies whole states only, where a state cannot be cut', () => {
    const backend = new FakeBackend({ reuse: 'whole' })
    const loop = createLoop(backend)
    loop.submit(createJob(1, prompt, { maxTokens: 1 }))
    drain(loop)
    loop.submit(createJob(2, prompt.slice(0, 30)))
    loop.submit(createJob(3, [...prompt, 11, 12]))
    const events = drain(loop)
    expect([cachedOf(events, 2), cachedOf(events, 3)]).toEqual([0, 40])
  })

  it('gives every request the tokens it gets alone, under any interleaving of arrivals, cancellations and shortage', () => {
    const stem = fc.constantFrom(prompt.slice(0, 10), prompt.slice(0, 25), [3, 4, 5])
    const submission = fc.record({
      kind: fc.constant('submit' as const),
      stem,
      tail: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 6 }),
      n: fc.integer({ min: 1, max: 3 }),
      adapter: fc.integer({ min: 0, max: 2 }),
      maxTokens: fc.integer({ min: 1, max: 20 }),
    })
    const operation = fc.oneof(
      submission,
      fc.record({ kind: fc.constant('cancel' as const), key: fc.nat(15) }),
      fc.record({ kind: fc.constant('step' as const), times: fc.integer({ min: 1, max: 4 }) }),
    )
    const layouts = fc.constantFrom(
      () => new FakeBackend({ streams: 3 }),
      () => new FakeBackend({ streams: 5, batchTokens: 24 }),
      () => new FakeBackend({ streams: 3, reuse: 'whole' }),
      () => new FakeBackend({ streams: 12, cells: 70 }, 'unified'),
      () => new FakeBackend({ streams: 12, cells: 140 }, 'unified'),
    )
    fc.assert(
      fc.property(layouts, fc.array(operation, { maxLength: 40 }), (createBackend, operations) => {
        const backend = createBackend()
        const loop = createLoop(backend, 3)
        const jobs: { key: number; n: number; adapter: number; prompt: number[]; maxTokens: number }[] = []
        const gone = new Set<number>()
        const events: LoopEvent[] = []
        for (const act of operations) {
          if (act.kind === 'submit') {
            const { n, adapter, maxTokens } = act
            const job = { key: jobs.length, n, adapter, prompt: [...act.stem, ...act.tail], maxTokens }
            jobs.push(job)
            loop.submit(createJob(job.key, job.prompt, { n, adapter, maxTokens }))
          } else if (act.kind === 'cancel') {
            loop.cancel(act.key)
            gone.add(act.key)
          } else {
            for (let step = 0; step < act.times; step += 1) events.push(...loop.step())
          }
          loop.cache.assertConsistent()
        }
        events.push(...drain(loop))
        expect(backend.samplers).toBe(0)
        expect(loop.status()).toMatchObject({ running: 0, waiting: 0, kvCells: 0 })
        for (const job of jobs.filter(({ key }) => !gone.has(key) || isFinished(events, key))) {
          for (let index = 0; index < job.n; index += 1) {
            const expected = alone(job.prompt, 1 + index + job.adapter * 1000, job.maxTokens, 64)
            expect(textsOf(events, job.key, index)).toBe(toText(expected))
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})

function isFinished(events: readonly LoopEvent[], key: number): boolean {
  return events.some((event) => event.type === 'finished' && event.key === key && event.last)
}

/** A clock that stands wherever it is put. */
class SetClock extends VirtualClock {
  ms = 0
  override now(): number {
    return this.ms
  }
}
