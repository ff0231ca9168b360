import type { RunProgress } from '../run.ts'
import type { RunResult } from '../result.ts'
import { showNumber } from './figures.ts'

/** Where the live view is written: a terminal, or anything that takes lines. */
export interface LiveTarget {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

export interface LiveView {
  note(line: string): void
  progress(label: string, progress: RunProgress, durationMs: number, requests: number): void
  runEnded(label: string, run: RunResult): void
}

const terminalPeriodMs = 250
const linePeriodMs = 5_000
const barCells = 20

/** One line that follows the run on a terminal; elsewhere a plain line every five seconds. */
export function createLiveView(target: LiveTarget, nowMs: () => number): LiveView {
  const isTerminal = target.isTTY === true
  let lastMs = nowMs()
  let isShown = false
  const clear = (): void => {
    if (isShown) target.write('\r\u001B[2K')
    isShown = false
  }
  return {
    note: (line) => {
      clear()
      target.write(`${line}\n`)
    },
    progress: (label, progress, durationMs, requests) => {
      const now = nowMs()
      if (now - lastMs < (isTerminal ? terminalPeriodMs : linePeriodMs)) return
      lastMs = now
      const line = progressLine(label, progress, durationMs, requests, isTerminal)
      if (!isTerminal) {
        target.write(`${line}\n`)
        return
      }
      clear()
      target.write(line.slice(0, Math.max(20, (target.columns ?? 120) - 1)))
      isShown = true
    },
    runEnded: (label, run) => {
      clear()
      const { summary } = run
      target.write(
        `${label}: ${showNumber(summary['outputTokPerS'])} tok/s, TTFT p50 ${showNumber(summary['ttftMsP50'])} ms, TPOT p50 ${showNumber(summary['tpotMsP50'])} ms, ${summary['errors'] ?? 0} errors${run.problems.length === 0 ? '' : ', INVALID'}\n`,
      )
    },
  }
}

function progressLine(
  label: string,
  { atMs, inFlight, aggregate }: RunProgress,
  durationMs: number,
  requests: number,
  withBar: boolean,
): string {
  const part = Math.max(atMs / durationMs, Number.isFinite(requests) ? aggregate.offered / requests : 0)
  const cells = Math.min(barCells, Math.round(part * barCells))
  const bar = withBar && part > 0 ? ` ${'█'.repeat(cells)}${'░'.repeat(barCells - cells)}` : ''
  const { ttftMs, tpotMs } = aggregate.distributions
  const [ttftP50, ttftP99] = ttftMs.quantiles([0.5, 0.99])
  const tokens = aggregate.usage.outputTokens / Math.max(1e-3, atMs / 1000)
  const failed = aggregate.offered - aggregate.ok
  return `${label}${bar} ${(Math.max(0, atMs) / 1000).toFixed(0)} s · running ${inFlight} · done ${aggregate.ok}${failed > 0 ? ` · failed ${failed}` : ''} · TTFT p50 ${showNumber(ttftP50)} p99 ${showNumber(ttftP99)} ms · TPOT p50 ${showNumber(tpotMs.quantile(0.5))} ms · ${showNumber(tokens)} tok/s`
}
