import { createRequest, sampling } from '../support/generation-request.ts'
import { describe, expect, it } from 'vitest'
import type { TokenmillError } from '../../src/core/index.ts'
import type { Engine, GenerationEvent, GenerationRequest } from '../../src/inference/index.ts'

/** An engine under test, and what the suite must know of it. */
export interface EngineUnderTest {
  readonly engine: Engine
  readonly model: string
  /** Longest prompt and output together, tokens; undefined where the engine does not say. */
  readonly contextTokens: number | undefined
  /** It can go on past the end of a text. Default: true. */
  readonly ignoresEos?: boolean
  /** It is told how many tokens a text has; else usage is estimated, and marked so. Default: true. */
  readonly countsTokens?: boolean
}

/** What every Engine promises, embedded or remote. `open` is called once; the suite never closes the engine. */
export function describeEngineContract(name: string, open: () => EngineUnderTest): void {
  describe(`${name} keeps the engine contract`, { timeout: 120_000 }, () => {
    const ask = (changes: Partial<GenerationRequest>) => {
      const { model, ignoresEos = true } = open()
      const request = createRequest({ model, ...changes })
      return ignoresEos ? request : { ...request, ignoreEos: false }
    }
    const run = (changes: Partial<GenerationRequest>, signal = never()) => {
      const { engine } = open()
      return collect(engine.generate(ask(changes), signal))
    }

    it('tells of the prefill first, of each continuation’s end once, and of the usage last', async () => {
      const events = await run({ n: 3, maxTokens: 8, ignoreEos: true })
      const { countsTokens = true } = open()
      if (countsTokens) expect(events[0]).toMatchObject({ type: 'prefilled' })
      expect(events.filter((event) => event.type === 'prefilled')).toHaveLength(countsTokens ? 1 : 0)
      const finished = events.filter((event) => event.type === 'finished')
      expect(new Set(finished.map((event) => event.index))).toEqual(new Set([0, 1, 2]))
      expect(finished).toHaveLength(3)
      expect(finished.every((event) => event.reason === 'length')).toBe(true)
      expect(events.at(-1)).toMatchObject({ type: 'usage', usage: { completionTokens: 24 } })
      const usage = events.at(-1)
      expect(usage?.type === 'usage' && (usage.usage.estimated ?? false)).toBe(!countsTokens)
    })

    it('accounts for every generated token in exactly one event', async () => {
      const events = await run({ maxTokens: 20, ignoreEos: true })
      const told = events.reduce((sum, event) => sum + (event.type === 'text' ? event.tokens : 0), 0)
      expect(told).toBe(20)
    })

    it('repeats itself for the same seed, and under greedy decoding', async () => {
      const warm = { temperature: 1, topP: 0.9, seed: 7 }
      const texts = await Promise.all([
        run({ maxTokens: 12, sampling: sampling(warm) }).then(textOf),
        run({ maxTokens: 12, sampling: sampling(warm) }).then(textOf),
        run({ maxTokens: 12 }).then(textOf),
        run({ maxTokens: 12 }).then(textOf),
      ])
      expect(texts[0]).toBe(texts[1])
      expect(texts[2]).toBe(texts[3])
    })

    it('stops before a stop text, also one that crosses tokens, and emits no part of it', async () => {
      const whole = textOf(await run({ maxTokens: 24, ignoreEos: true }))
      const stop = whole.slice(Math.floor(whole.length / 2) - 2, Math.floor(whole.length / 2) + 2)
      const events = await run({ maxTokens: 24, ignoreEos: true, stop: [stop] })
      expect(textOf(events)).toBe(whole.slice(0, whole.indexOf(stop)))
      expect(events.find((event) => event.type === 'finished')).toMatchObject({ reason: 'stop', stopReason: stop })
    })

    it('throws `cancelled` at once when the signal fires, and serves the next request', async () => {
      const { engine } = open()
      const controller = new AbortController()
      const seen: GenerationEvent[] = []
      const reading = async () => {
        const request = ask({ maxTokens: 400, ignoreEos: true })
        for await (const event of engine.generate(request, controller.signal)) {
          seen.push(event)
          if (seen.length === 3) controller.abort()
        }
      }
      await expect(reading()).rejects.toMatchObject({ code: 'cancelled' })
      expect(seen).toHaveLength(3)
      expect(textOf(await run({ maxTokens: 4, ignoreEos: true })).length).toBeGreaterThan(0)
    })

    it('frees the request when its reader leaves early', async () => {
      const { engine } = open()
      for await (const event of engine.generate(ask({ maxTokens: 400, ignoreEos: true }), never())) {
        if (event.type === 'text') break
      }
      await until(() => engine.status().running === 0)
    })

    it('does nothing for a signal that has fired before', async () => {
      await expect(run({}, AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' })
    })

    it('names the models there are where another is asked for', async () => {
      const { model } = open()
      const error = await failureOf(run({ model: `${model}-of-another` }))
      expect(error).toMatchObject({ code: 'model_not_found', details: { available: [model] } })
    })

    it('says the limit and the actual length of a prompt that is too long', async () => {
      const { contextTokens } = open()
      if (contextTokens === undefined) return
      const tokens = Array.from({ length: contextTokens + 5 }, () => 300)
      const error = await failureOf(run({ input: { kind: 'tokens', tokens } }))
      expect(error).toMatchObject({
        code: 'context_length_exceeded',
        details: { maximum: contextTokens, actual: contextTokens + 5 },
      })
    })
  })
}

export async function collect(events: AsyncIterable<GenerationEvent>): Promise<GenerationEvent[]> {
  const collected: GenerationEvent[] = []
  for await (const event of events) collected.push(event)
  return collected
}

export function textOf(events: readonly GenerationEvent[], index = 0): string {
  return events.map((event) => (event.type === 'text' && event.index === index ? event.text : '')).join('')
}

export function never(): AbortSignal {
  return new AbortController().signal
}

export async function failureOf(promise: Promise<unknown>): Promise<TokenmillError> {
  try {
    await promise
  } catch (error) {
    return error as TokenmillError
  }
  throw new Error('It did not fail.')
}

/** Waits until the condition holds, for at most a minute. */
export async function until(condition: () => boolean): Promise<void> {
  const giveUpAtMs = performance.now() + 60_000
  while (!condition()) {
    if (performance.now() > giveUpAtMs) throw new Error('The condition did not become true within a minute.')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
