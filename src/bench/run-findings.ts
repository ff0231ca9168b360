import type { RunParts } from './run-parts.ts'

/** Complete answers from which a run states a p99. */
export const fewestForP99 = 100

/** What makes the run's figures worthless, in sentences. */
export function findProblems({ client, limits, whole, aggregate, givenUp }: RunParts): string[] {
  const problems: string[] = []
  // A run too short for a p99 of its own has none of the client's either: its cold start would decide alone.
  const rank = aggregate.ok < fewestForP99 ? 'P50' : 'P99'
  const lag = (what: string, figure: 'sendLagMs' | 'receiveLagMs' | 'loopDelayMs', maximum: number): void => {
    const value = client[`${figure}${rank}`]
    if (value !== null && value > maximum)
      problems.push(
        `${what} ${rank.toLowerCase()} is ${value.toFixed(1)} ms; above ${maximum} ms the client was measured, not the server.`,
      )
  }
  lag('Send lag', 'sendLagMs', limits.maxSendLagMs)
  lag('Receive lag', 'receiveLagMs', limits.maxReceiveLagMs)
  lag('Event-loop delay', 'loopDelayMs', limits.maxReceiveLagMs)
  const notSent = whole.outcomes.get('notSent') ?? 0
  if (notSent > 0) problems.push(`${notSent} requests were never sent: the client's limit maxInFlight was reached.`)
  if (givenUp !== undefined) problems.push(`Given up: ${givenUp}.`)
  if (aggregate.ok === 0) problems.push('No request succeeded: there is nothing to measure.')
  return problems
}

/** From here on the gaps between chunks no longer tell the pace of tokens. */
const notableTogetherShare = 0.2

/** What a reader of the run should know. */
export function findWarnings(parts: RunParts): string[] {
  const { aggregate, summary, window, saturation, energy } = parts
  const warnings: string[] = []
  const { usage } = aggregate
  if (parts.interrupted) warnings.push('Stopped by the user: requests that still ran are left out of attainment.')
  if (!window.steady)
    warnings.push('Too short for a steady state: the whole run is measured, opening burst and drain included.')
  if (saturation?.oversaturated === true) {
    warnings.push(
      `Over-saturated: TTFT grew by ${percent(saturation.ttftGrowth)} and concurrency by ${percent(saturation.concurrencyGrowth)} of their means along the window; figures depend on how long it ran.`,
    )
  }
  // At each edge of the window up to `concurrency` requests lie half outside: that much is no surprise.
  const residual = summary['littleResidual'] ?? 0
  const edges = (summary['concurrencyMean'] ?? 0) / Math.max(1, summary['completed'] ?? 0)
  if (window.steady && Math.abs(residual) > 0.1 + edges)
    warnings.push(`Little's law is off by ${percent(residual)}: the window was no steady state.`)
  if (aggregate.ok > 0 && (summary['ttftMsCount'] ?? 0) < fewestForP99)
    warnings.push(
      `Fewer than ${fewestForP99} complete answers in a run: percentiles that need more are left out of it.`,
    )
  if (parts.client.resent > 0)
    warnings.push(
      `${parts.client.resent} requests met a connection closed that the server had said it keeps, and were sent again over a new one, their clocks running on.`,
    )
  const together = summary['chunksTogetherShare'] ?? 0
  if (together > notableTogetherShare)
    warnings.push(
      `${percent(together)} of chunks came in one read with the one before: the server, or something between, sends several at once. Gaps between chunks are 0 there; ITL shares the gap before among their tokens.`,
    )
  if (usage.fromChunks > 0)
    warnings.push(`${usage.fromChunks} answers came without usage: their tokens are the number of chunks.`)
  if (usage.suspect > 0)
    warnings.push(`${usage.suspect} answers report a number of tokens that cannot be true beside their text or chunks.`)
  const notStreamed = summary['notStreamed'] ?? 0
  if (notStreamed > 0 && parts.plan.target.stream)
    warnings.push(`${notStreamed} answers were not streamed: their TTFT is the whole time, their TPOT unknown.`)
  const asked = summary['outputTokensAskedMean'] ?? 0
  const got = summary['outputTokensMean'] ?? asked
  if (asked > 0 && Math.abs(got / asked - 1) > 0.05)
    warnings.push(`Answers have ${got.toFixed(0)} tokens on average; ${asked.toFixed(0)} were asked for.`)
  const askedIn = summary['inputTokensAskedMean'] ?? 0
  const gotIn = summary['inputTokensMean'] ?? askedIn
  if (askedIn > 0 && Math.abs(gotIn / askedIn - 1) > 0.1)
    warnings.push(
      `Prompts have ${gotIn.toFixed(0)} tokens on average, template included; ${askedIn.toFixed(0)} were asked for.`,
    )
  const cached = summary['cachedShare'] ?? null
  if (
    cached !== null &&
    cached > 0.02 &&
    parts.plan.sharedShare === 0 &&
    parts.plan.shape.kind !== 'trace' &&
    parts.plan.turns === 1
  )
    warnings.push(
      `${percent(cached)} of prompt tokens came from the server's cache although prompts are unique: an earlier run of this seed left them there, or another client; --seed changes them.`,
    )
  const capped = aggregate.distributions.capWaitMs
  if (capped.sum > 0)
    warnings.push('The concurrency cap bound: requests waited at the client, and that wait is in their latency.')
  if (parts.serverProblem !== undefined) warnings.push(`No server metrics: ${parts.serverProblem}.`)
  for (const each of energy)
    if (each.joules === null) warnings.push(`Energy of ${each.name} is unknown: ${each.problem ?? 'too few readings'}.`)
  return warnings
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`
}
