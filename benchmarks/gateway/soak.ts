import { performance } from 'node:perf_hooks'
import { residentBytes } from '../measure/child.ts'
import type { Contender } from './harness.ts'

/**
 * Streams and whole answers for a while, from clients of which every third leaves at a random moment. Reports the
 * slope of the resident memory: least squares over samples of each second, the first fifth left out, when the heap
 * finds its size.
 */
export async function soak(
  contender: Contender,
  seconds: number,
  clients: number,
  body: (fields: object) => string,
): Promise<void> {
  const { pool, headers, child } = contender
  const startMs = performance.now()
  const endMs = startMs + seconds * 1000
  let requests = 0
  let left = 0
  const client = async (): Promise<void> => {
    while (performance.now() < endMs) {
      requests += 1
      const leave = new AbortController()
      const timer = Math.random() < 1 / 3 ? setTimeout(() => leave.abort(), Math.random() * 200) : undefined
      try {
        const stream = Math.random() < 0.7
        const text = body({ max_tokens: 20, seed: 5, stream, messages: [{ role: 'user', content: 'x'.repeat(400) }] })
        const ask = { method: 'POST', path: '/v1/chat/completions', headers, body: text, signal: leave.signal } as const
        const answer = await pool.request(ask)
        await answer.body.dump()
      } catch (error) {
        if (!leave.signal.aborted) throw error
        left += 1
      } finally {
        clearTimeout(timer)
      }
    }
  }
  const samples: { readonly minutes: number; readonly megabytes: number }[] = []
  const sampling = setInterval(() => {
    const minutes = (performance.now() - startMs) / 60_000
    samples.push({ minutes, megabytes: residentBytes(child.pid) / 1e6 })
  }, 1000)
  await Promise.all(Array.from({ length: clients }, client))
  clearInterval(sampling)
  const settled = samples.slice(Math.floor(samples.length / 5))
  const sizes = settled.map(({ megabytes }) => megabytes)
  const range = `${Math.min(...sizes).toFixed(0)} to ${Math.max(...sizes).toFixed(0)} MB`
  console.log(
    `soak of ${seconds} s: ${requests} requests, ${left} left early; resident ${range}, ` +
      `slope ${slopeOf(settled).toFixed(2)} MB a minute`,
  )
}

function slopeOf(samples: readonly { readonly minutes: number; readonly megabytes: number }[]): number {
  const mean = (pick: (sample: (typeof samples)[number]) => number): number =>
    samples.reduce((sum, sample) => sum + pick(sample), 0) / samples.length
  const minutes = mean((sample) => sample.minutes)
  const megabytes = mean((sample) => sample.megabytes)
  const both = samples.reduce((sum, each) => sum + (each.minutes - minutes) * (each.megabytes - megabytes), 0)
  return both / samples.reduce((sum, each) => sum + (each.minutes - minutes) ** 2, 0)
}
