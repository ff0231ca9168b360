import type { Random } from '../../../src/core/index.ts'
import { addition2, arithmetic3, division, multiplication, smallSum, subtraction2, wordProblem } from './arithmetic.ts'
import { definition } from './definitions.ts'
import { extraction } from './extraction.ts'
import { aboutList, chainedSums, furtherCall, furtherTerm, recall } from './follow-ups.ts'
import { comparison, counting, extreme, sortNumbers, sortWords } from './ordering.ts'
import { integer, isHeldOut, pick, pickWeighted, type Sample, type Task, type Tool, type Turn } from './sample.ts'
import { refusal, smallTalk } from './small-talk.ts'
import { story } from './stories.ts'
import { knownSequence, listOperation, repetition, wordOperation } from './strings.ts'
import { furtherUse, parallelCalls, toolSelection, withResult } from './tools.ts'
import { unitConversion } from './units.ts'

function sortFour(random: Random): Sample {
  return sortNumbers(random, 4)
}

/** Every task with its share of the training data. */
export const tasks: readonly (readonly [Task, number])[] = [
  [addition2, 13],
  [subtraction2, 15],
  [smallSum, 2],
  [multiplication, 3],
  [division, 2],
  [arithmetic3, 9],
  [wordProblem, 3],
  [comparison, 5],
  [extreme, 2],
  [sortFour, 14],
  [(random) => sortNumbers(random, pick(random, [3, 5, 6])), 4],
  [sortWords, 0.7],
  [counting, 1],
  [wordOperation, 1],
  [listOperation, 2],
  [repetition, 7],
  [knownSequence, 0.3],
  [unitConversion, 3],
  [extraction, 15],
  [toolSelection, 15],
  [parallelCalls, 1.5],
  [recall, 4],
  [chainedSums, 3],
  [aboutList, 2],
  [furtherTerm, 1.5],
  [furtherCall, 1.5],
  [definition, 3.5],
  [smallTalk, 3],
  [refusal, 2.5],
  [story, 0.3],
]

/** Shares of the last part of training: what is hardest at its size comes more often, the rest only so as not to be forgotten. */
export const polishTasks: readonly (readonly [Task, number])[] = tasks.map(([task, share]) => [
  task,
  share * (task === subtraction2 || task === sortFour ? 3 : 1),
])

/** What a model is trained on: one dialogue from its system message to its last answer. */
export interface Conversation {
  readonly task: string
  readonly system: string | undefined
  readonly tools: readonly Tool[]
  readonly turns: readonly Turn[]
}

export const systemMessages: readonly string[] = [
  'You are a helpful assistant.',
  'You are a helpful assistant.',
  'You are nano, a small assistant.',
  'Answer briefly.',
  'You are a concise assistant.',
  'Be brief and correct.',
  'You are a careful assistant. Answer the question.',
  'You are an expert in inference.',
  'You are a test assistant.',
  'Answer the user.',
  'You answer questions with facts and numbers.',
]

/** A sample of the wanted side of the split: drawn again until its key falls there; undefined where it never does. */
export function drawSample(random: Random, task: Task, heldOut: boolean): Sample | undefined {
  for (let tries = 0; tries < 1000; tries++) {
    const sample = task(random)
    if (isHeldOut(sample.key) === heldOut) return sample
  }
  return undefined
}

function drawTrained(random: Random, shares: typeof tasks): Sample {
  const sample = drawSample(random, pickWeighted(random, shares), false)
  if (sample === undefined) throw new RangeError('A task has no problem left to train on.')
  return sample
}

export function systemMessage(random: Random): string | undefined {
  return random() < 0.6 ? undefined : pick(random, systemMessages)
}

/**
 * A training dialogue. More than half hold one sample; the others hold up to `most` unrelated ones in a row, so that
 * the model sees later positions and learns to look at the turn that counts.
 */
export function trainingConversation(random: Random, most: number, shares = tasks): Conversation {
  const first = drawTrained(random, shares)
  const system = systemMessage(random)
  const tools = [...(first.tools ?? [])]
  const turns = [...first.turns]
  const count = random() < (tools.length > 0 ? 0.35 : 0.6) ? 1 : integer(random, 2, most)
  for (let at = 1; at < count; at++) {
    // Reading a list of tools costs more than using it: most dialogues that have one ask for more of it.
    const next =
      first.tools !== undefined && random() < 0.7
        ? (drawSample(random, (r) => furtherUse(r, tools), false) ?? drawTrained(random, shares))
        : drawTrained(random, shares)
    // A dialogue has one set of tools, and without tools a wish for one is refused: do not mix the two.
    if ((next.tools !== undefined && next.tools !== tools) || (tools.length > 0 && next.task === 'refusal')) continue
    // Words after a call need its result first.
    const last = turns.pop()
    if (last !== undefined) turns.push(withResult(random, last, tools))
    if (turns.at(-1)?.calls !== undefined && turns.at(-1)?.answer === undefined) break
    turns.push(...next.turns)
  }
  return { task: first.task, system, tools, turns }
}
