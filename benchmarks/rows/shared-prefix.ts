import { startLlamaServer, startTokenmill } from '../contenders/server.ts'
import type { Run } from '../measure/run.ts'
import { median, ratiosOf, show, showSpread } from '../measure/statistics.ts'
import { ofServer, serverJob, type Throughput } from './throughput.ts'

/** 16 requests at once whose 512-token prompts are equal in their first 448 tokens. */
export async function sharedPrefix(run: Run): Promise<void> {
  const { llamaServer } = run
  const ours: Throughput[] = []
  const theirs: Throughput[] = []
  for (let repeat = 0; repeat < run.repeats; repeat += 1) {
    const load = {
      streams: 16,
      promptTokens: 512,
      sharedTokens: 448,
      outputTokens: 64,
      sampling: 'greedy',
      seed: run.seed + 1000 * repeat,
    } as const
    const measures = [
      async () => ours.push(await ofServer(() => startTokenmill(serverJob(run, load)), load, run)),
      async () => {
        if (llamaServer !== undefined)
          theirs.push(await ofServer(() => startLlamaServer(llamaServer, serverJob(run, load)), load, run))
      },
    ]
    for (const measure of repeat % 2 === 0 ? measures : measures.reverse()) await measure()
    const last = [ours, theirs].map((results) => show(results.at(-1)?.outputTokensPerSecond ?? NaN))
    run.log(`shared prefix: tokenmill ${last[0]} tok/s, llama-server ${last[1]}`)
  }
  const rates = (results: readonly Throughput[]) => results.map((result) => result.outputTokensPerSecond)
  const row = '16 × 512 prompt tokens sharing 448, 64 out'
  const cached = median(ours.map((result) => result.cachedTokens ?? 0))
  run.report({
    row,
    what: 'tokenmill',
    value: `${show(median(rates(ours)))} tok/s; ${cached} of ${15 * 448} prompt tokens cached`,
    asked: '',
    met: undefined,
    data: ours,
  })
  if (theirs.length === 0) return
  const ratio = ratiosOf(rates(ours), rates(theirs))
  run.report({
    row,
    what: 'llama-server',
    value: `${show(median(rates(theirs)))} tok/s; ratio ${showSpread(ratio)}`,
    asked: '≥ 2.2, goal 2.5',
    met: ratio.median >= 2.2,
    data: theirs,
  })
}
