import { startTokenmill } from '../contenders/server.ts'
import type { Run } from '../measure/run.ts'
import { median, ratiosOf, show, showSpread } from '../measure/statistics.ts'
import { ofServer, serverJob, type Load, type Throughput } from './throughput.ts'

/** The two ways to keep KV cells, with prompts that share nothing and with prompts that share most. */
export async function layouts(run: Run): Promise<void> {
  await compare(run, '8 × 1,024 prompt tokens, unlike, 64 out', { streams: 8, promptTokens: 1024, sharedTokens: 0 })
  await compare(run, '16 × 512 prompt tokens sharing 448, 64 out', {
    streams: 16,
    promptTokens: 512,
    sharedTokens: 448,
  })
}

async function compare(run: Run, row: string, shape: Pick<Load, 'streams' | 'promptTokens' | 'sharedTokens'>) {
  const results: Record<'streams' | 'unified', Throughput[]> = { streams: [], unified: [] }
  for (let repeat = 0; repeat < run.repeats; repeat += 1) {
    const load: Load = { ...shape, outputTokens: 64, sampling: 'greedy', seed: run.seed + 1000 * repeat }
    const order = repeat % 2 === 0 ? (['streams', 'unified'] as const) : (['unified', 'streams'] as const)
    for (const layout of order) {
      const job = { ...serverJob(run, load), flags: ['--kv-layout', layout] }
      results[layout].push(await ofServer(() => startTokenmill(job), load, run))
      run.log(`${row}, ${layout}: ${show(results[layout].at(-1)?.outputTokensPerSecond ?? NaN)} tok/s`)
    }
  }
  const whole = (layout: 'streams' | 'unified') => results[layout].map((result) => result.outputTokensPerSecond)
  const decode = (layout: 'streams' | 'unified') => results[layout].map((result) => result.decodeTokensPerSecond)
  run.report({
    row: `KV layouts, ${row}`,
    what: 'streams over unified',
    value:
      `${show(median(whole('streams')))} against ${show(median(whole('unified')))} tok/s; ` +
      `ratio ${showSpread(ratiosOf(whole('streams'), whole('unified')))}, decode ${showSpread(ratiosOf(decode('streams'), decode('unified')))}`,
    asked: '',
    met: undefined,
    data: results,
  })
}
