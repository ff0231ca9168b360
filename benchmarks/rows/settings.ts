import { startTokenmill } from '../contenders/server.ts'
import type { Run } from '../measure/run.ts'
import { median, ratiosOf, show, showSpread } from '../measure/statistics.ts'
import { ofServer, serverJob, type Load, type Throughput } from './throughput.ts'

type Shape = Pick<Load, 'streams' | 'promptTokens' | 'sharedTokens' | 'outputTokens'>

/** The two ways to keep KV cells, with prompts that share nothing and with prompts that share most. */
export async function layouts(run: Run): Promise<void> {
  const ways = { flag: '--kv-layout', one: 'streams', other: 'unified' }
  const unlike = { streams: 8, promptTokens: 1024, sharedTokens: 0, outputTokens: 64 }
  const alike = { streams: 16, promptTokens: 512, sharedTokens: 448, outputTokens: 64 }
  await compare(run, 'KV layouts, 8 × 1,024 prompt tokens, unlike, 64 out', unlike, ways)
  await compare(run, 'KV layouts, 16 × 512 prompt tokens sharing 448, 64 out', alike, ways)
}

/** Padding of passes to whole groups of rows, where the number of streams leaves some over. */
export async function padding(run: Run): Promise<void> {
  for (const streams of [3, 7, 15]) {
    const shape = { streams, promptTokens: 128, sharedTokens: 0, outputTokens: 128 }
    // One slot more than streams: a place for the row that is added.
    const ways = { flag: '--row-padding', one: 'auto', other: 'off', slots: streams + 1 }
    await compare(run, `row padding, ${streams} streams`, shape, ways)
  }
}

interface Ways {
  readonly flag: string
  readonly one: string
  readonly other: string
  readonly slots?: number
}

async function compare(run: Run, row: string, shape: Shape, { flag, one, other, slots }: Ways): Promise<void> {
  const results = new Map<string, Throughput[]>([one, other].map((way) => [way, []]))
  for (let repeat = 0; repeat < run.repeats; repeat += 1) {
    const load: Load = { ...shape, sampling: 'greedy', seed: run.seed + 1000 * repeat }
    for (const way of repeat % 2 === 0 ? [one, other] : [other, one]) {
      const job = serverJob(run, load)
      const start = () => startTokenmill({ ...job, slots: slots ?? job.slots, flags: [flag, way] })
      const result = await ofServer(start, load, run)
      results.get(way)?.push(result)
      run.log(`${row}, ${way}: ${show(result.outputTokensPerSecond)} tok/s`)
    }
  }
  const whole = (way: string) => (results.get(way) ?? []).map((result) => result.outputTokensPerSecond)
  const decode = (way: string) => (results.get(way) ?? []).map((result) => result.decodeTokensPerSecond)
  run.report({
    row,
    what: `${one} over ${other}`,
    value:
      `${show(median(whole(one)))} against ${show(median(whole(other)))} tok/s; ` +
      `ratio ${showSpread(ratiosOf(whole(one), whole(other)))}, decode ${showSpread(ratiosOf(decode(one), decode(other)))}`,
    asked: '',
    met: undefined,
    data: Object.fromEntries(results),
  })
}
