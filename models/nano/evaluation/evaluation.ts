import { createRandom } from '../../../src/core/index.ts'
import { drawSample, systemMessage, tasks } from '../corpus/conversation.ts'
import type { Sample } from '../corpus/sample.ts'
import { renderChat } from '../chat-text.ts'
import { ask, logprobsOf, type Endpoint } from './endpoint.ts'
import { conclusionOf, isRight } from './judge.ts'
import { requestOf } from './messages.ts'
import { majority } from './statistics.ts'

/** A held-out problem as it is asked. */
export interface Problem {
  readonly sample: Sample
  readonly system: string | undefined
}

/** Up to `count` different held-out problems of each row of the table; the same ones for the same seed. */
export function heldOutProblems(seed: number, count: number): ReadonlyMap<string, readonly Problem[]> {
  const random = createRandom(seed)
  const problems = new Map<string, Problem[]>()
  const drawn = new Set<string>()
  // Several generators may fill one row (the kinds of follow-ups), or one several (tools): they take turns.
  for (let round = 0; round < count * 4; round++) {
    for (const [task] of tasks) {
      const sample = drawSample(random, task, true)
      if (sample === undefined || drawn.has(sample.key)) continue
      const rows = problems.get(sample.task) ?? []
      if (rows.length < count) {
        drawn.add(sample.key)
        rows.push({ sample, system: systemMessage(random) })
      }
      problems.set(sample.task, rows)
    }
  }
  return problems
}

/** How many of the problems are answered rightly by greedy decoding; `onWrong` hears what was said instead. */
export async function countRight(
  endpoint: Endpoint,
  problems: readonly Problem[],
  onWrong?: (problem: Problem, said: string) => void,
): Promise<number> {
  const verdicts = await inParallel(problems, async ({ sample, system }) => {
    const [reply] = await ask(endpoint, requestOf(sample, system), { temperature: 0, n: 1, seed: 1 })
    if (reply === undefined) return false
    const right = isRight(sample.check, reply)
    if (!right) onWrong?.({ sample, system }, conclusionOf({ kind: 'exact', text: '' }, reply))
    return right
  })
  return verdicts.filter(Boolean).length
}

export interface VoteCounts {
  /** Samples voted over. */
  readonly samples: number
  /** Problems whose majority was right. */
  readonly right: number
}

/**
 * Problems answered rightly by the majority of 1, 4, … samples at a temperature. The smaller votes are taken from
 * disjoint parts of the largest one, and their mean is given: the same tokens serve all.
 */
export async function countByVote(
  endpoint: Endpoint,
  problems: readonly Problem[],
  sizes: readonly number[],
  temperature: number,
): Promise<VoteCounts[]> {
  const most = Math.max(...sizes)
  const shares = await inParallel(problems, async ({ sample, system }, at) => {
    const replies = await ask(endpoint, requestOf(sample, system), { temperature, n: most, seed: 1000 + at })
    const rightConclusions = new Set(
      replies.filter((reply) => isRight(sample.check, reply)).map((reply) => conclusionOf(sample.check, reply)),
    )
    const conclusions = replies.map((reply) => conclusionOf(sample.check, reply))
    return sizes.map((size) => {
      const groups = Array.from({ length: Math.floor(most / size) }, (_, group) =>
        majority(conclusions.slice(group * size, (group + 1) * size)),
      )
      return groups.filter((winner) => winner !== undefined && rightConclusions.has(winner)).length / groups.length
    })
  })
  return sizes.map((samples, at) => ({ samples, right: shares.reduce((sum, row) => sum + (row[at] ?? 0), 0) }))
}

/** exp of the mean negative log-probability of the right answers' tokens, given their dialogues. */
export async function perplexity(endpoint: Endpoint, problems: readonly Problem[]): Promise<number> {
  const rows = await inParallel(problems, ({ sample, system }) => {
    const last = renderChat({ task: sample.task, system, tools: sample.tools ?? [], turns: sample.turns }).at(-1) ?? ''
    return logprobsOf(endpoint, requestOf(sample, system), last.replace(/<\|im_end\|>$/, ''))
  })
  const logprobs = rows.flat()
  return Math.exp(-logprobs.reduce((sum, value) => sum + value, 0) / logprobs.length)
}

const requestsAtOnce = 16

/** Maps in order with at most `requestsAtOnce` under way. */
async function inParallel<T, R>(values: readonly T[], map: (value: T, at: number) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const work = async () => {
    for (let at = next++; at < values.length; at = next++) {
      const value = values[at]
      if (value !== undefined) results[at] = await map(value, at)
    }
  }
  await Promise.all(Array.from({ length: requestsAtOnce }, work))
  return results
}
