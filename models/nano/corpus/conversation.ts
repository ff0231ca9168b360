import type { Random } from '../../../src/core/index.ts'
import { addition2, arithmetic3, division, multiplication, subtraction2, wordProblem } from './arithmetic.ts'
import { definition } from './definitions.ts'
import { extraction } from './extraction.ts'
import { aboutList, chainedSums, furtherCall, furtherTerm, recall } from './follow-ups.ts'
import { comparison, counting, extreme, sortNumbers, sortWords } from './ordering.ts'
import { integer, isHeldOut, pick, pickWeighted, type Sample, type Task, type Tool, type Turn } from './sample.ts'
import { refusal, smallTalk } from './small-talk.ts'
import { story } from './stories.ts'
import { knownSequence, listOperation, repetition, wordOperation } from './strings.ts'
import { parallelCalls, toolSelection } from './tools.ts'
import { unitConversion } from './units.ts'

/** Every task with its share of the training data. */
export const tasks: readonly (readonly [Task, number])[] = [
  [addition2, 12],
  [subtraction2, 12],
  [multiplication, 4],
  [division, 3],
  [arithmetic3, 14],
  [wordProblem, 3],
  [comparison, 6],
  [extreme, 2],
  [(random) => sortNumbers(random, 4), 13],
  [(random) => sortNumbers(random, pick(random, [3, 5, 6])), 4],
  [sortWords, 2],
  [counting, 1.5],
  [wordOperation, 3],
  [listOperation, 3],
  [repetition, 6],
  [knownSequence, 0.3],
  [unitConversion, 5],
  [extraction, 15],
  [toolSelection, 15],
  [parallelCalls, 1.5],
  [recall, 5],
  [chainedSums, 3],
  [aboutList, 3],
  [furtherTerm, 1.5],
  [furtherCall, 1.5],
  [definition, 4],
  [smallTalk, 3],
  [refusal, 2.5],
  [story, 0.5],
]

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

function drawTrained(random: Random): Sample {
  const sample = drawSample(random, pickWeighted(random, tasks), false)
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
export function trainingConversation(random: Random, most: number): Conversation {
  const first = drawTrained(random)
  const system = systemMessage(random)
  const tools = [...(first.tools ?? [])]
  const turns = [...first.turns]
  const count = random() < 0.6 ? 1 : integer(random, 2, most)
  for (let at = 1; at < count; at++) {
    const next = drawTrained(random)
    // A dialogue has one set of tools, and without tools a wish for one is refused: do not mix the two.
    if (next.tools !== undefined || (tools.length > 0 && next.task === 'refusal')) continue
    // Words after a call need its result first.
    const last = turns.at(-1)
    if (last?.calls !== undefined && last.answer === undefined) break
    turns.push(...next.turns)
  }
  return { task: first.task, system, tools, turns }
}
