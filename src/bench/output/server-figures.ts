import type { RunResult } from '../result.ts'

/** Means and greatest values of what the server said about itself. */
export function serverFigures(runs: readonly RunResult[]): Record<string, number> {
  const samples = runs.flatMap((run) => run.serverSamples)
  const figures: Record<string, number> = {}
  for (const key of ['running', 'waiting', 'kvCacheUsage'] as const) {
    const values = samples.map((sample) => sample[key]).filter((value) => value !== undefined)
    if (values.length === 0) continue
    figures[`${key}Mean`] = values.reduce((sum, value) => sum + value, 0) / values.length
    figures[`${key}Max`] = values.reduce((most, value) => Math.max(most, value), -Infinity)
  }
  for (const key of ['preemptions', 'prefixQueries', 'prefixHits'] as const) {
    const grown = runs.map((run) => {
      const values = run.serverSamples.map((sample) => sample[key]).filter((value) => value !== undefined)
      return (values.at(-1) ?? 0) - (values[0] ?? 0)
    })
    if (samples.some((sample) => sample[key] !== undefined)) figures[key] = grown.reduce((sum, each) => sum + each, 0)
  }
  return figures
}
