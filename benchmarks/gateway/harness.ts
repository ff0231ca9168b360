import { performance } from 'node:perf_hooks'
import { Pool } from 'undici'
import { Child, cpuSeconds } from '../measure/child.ts'

/** A process that stands between the client and the upstream. */
export interface Contender {
  readonly name: string
  readonly child: Child
  readonly pool: Pool
  readonly headers: Readonly<Record<string, string>>
}

/** Starts a program that prints its address; a wait of a minute at most. */
export async function startProgram(
  name: string,
  args: readonly string[],
  command = process.execPath,
): Promise<{ child: Child; url: string }> {
  const child = new Child(command, args)
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 50) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(child.output)?.[0]
    if (url !== undefined) return { child, url }
    if (!child.isAlive) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${name} did not start: ${child.output}`)
}

export function connect(
  name: string,
  { child, url }: { child: Child; url: string },
  headers: Readonly<Record<string, string>>,
): Contender {
  const pool = new Pool(url, { connections: 600, pipelining: 1, bodyTimeout: 0, headersTimeout: 0 })
  return { name, child, pool, headers: { 'content-type': 'application/json', ...headers } }
}

export interface Times {
  readonly firstMs: number
  readonly totalMs: number
  readonly gapMs: number
}

/** One request; resolves with its times. */
async function ask({ name, pool, headers }: Contender, body: string): Promise<Times> {
  const sinceMs = performance.now()
  const answer = await pool.request({ method: 'POST', path: '/v1/chat/completions', headers, body })
  if (answer.statusCode !== 200) throw new Error(`${name}: ${answer.statusCode}: ${await answer.body.text()}`)
  let firstMs = 0
  let lastMs = 0
  let gapMs = 0
  for await (const piece of answer.body as AsyncIterable<Buffer>) {
    if (!piece.includes('token')) continue
    const nowMs = performance.now()
    if (firstMs === 0) firstMs = nowMs - sinceMs
    else gapMs = Math.max(gapMs, nowMs - lastMs)
    lastMs = nowMs
  }
  return { firstMs, totalMs: performance.now() - sinceMs, gapMs }
}

/** `count` requests, `width` at once. */
export async function load(contender: Contender, body: string, count: number, width: number): Promise<Times[]> {
  const times: Times[] = []
  let left = count
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      times.push(await ask(contender, body))
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  return times
}

/** CPU that the contender uses for `work`, in µs for each of `units`. */
export async function cpuOf(contender: Contender, units: number, work: () => Promise<unknown>): Promise<number> {
  const before = cpuSeconds(contender.child.pid)
  await work()
  return ((cpuSeconds(contender.child.pid) - before) / units) * 1e6
}

export function quantile(list: readonly number[], share: number): number {
  return list.toSorted((a, b) => a - b)[Math.min(list.length - 1, Math.floor(share * list.length))] ?? Number.NaN
}

export const median = (list: readonly number[]): number => quantile(list, 0.5)
