import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../../../src/core/index.ts'
import { renderChat } from '../chat-text.ts'
import { isRight, type Reply } from '../evaluation/judge.ts'
import { drawSample, tasks, trainingConversation } from './conversation.ts'
import { definitions } from './definitions.ts'
import { heldOutEvery, isHeldOut, type Sample } from './sample.ts'

/** Many samples of every task, from one seed. */
function manySamples(seed: number, each: number): Sample[] {
  const random = createRandom(seed)
  return tasks.flatMap(([task]) => Array.from({ length: each }, () => task(random)))
}

/** The right answer of a sample as a reply of the model. */
function referenceReply(sample: Sample): Reply {
  const last = sample.turns.at(-1)
  return { text: last?.answer ?? '', calls: last?.answer === undefined ? (last?.calls ?? []) : [] }
}

describe('the data generator', () => {
  it('writes the same dialogues for the same seed and others for another', () => {
    const dialogues = (seed: number) => {
      const random = createRandom(seed)
      return Array.from({ length: 300 }, () => renderChat(trainingConversation(random, 6)).join(''))
    }
    expect(dialogues(7)).toEqual(dialogues(7))
    expect(dialogues(7)).not.toEqual(dialogues(8))
  })

  it('never draws a problem for training and for evaluation alike', () => {
    const random = createRandom(11)
    for (const [task] of tasks) {
      for (let at = 0; at < 20; at++) {
        const trained = drawSample(random, task, false)
        const heldOut = drawSample(random, task, true)
        expect(trained === undefined || isHeldOut(trained.key)).toBe(false)
        expect(heldOut === undefined || isHeldOut(heldOut.key)).toBe(true)
      }
    }
  })

  it('holds out about the share it says', () => {
    const keys = new Set(manySamples(3, 400).map(({ key }) => key))
    const share = [...keys].filter(isHeldOut).length / keys.size
    expect(share).toBeGreaterThan(0.7 / heldOutEvery)
    expect(share).toBeLessThan(1.3 / heldOutEvery)
  })

  it('judges its own answers right, and a changed one wrong', () => {
    for (const sample of manySamples(5, 100)) {
      const reply = referenceReply(sample)
      expect(isRight(sample.check, reply), JSON.stringify(sample)).toBe(true)
      const nothing = { text: 'nothing of the kind', calls: [] }
      if (sample.task !== 'stories') expect(isRight(sample.check, nothing), JSON.stringify(sample)).toBe(false)
    }
  })

  it('fills every slot of its phrases', () => {
    for (const sample of manySamples(9, 100)) {
      for (const turn of sample.turns) expect(`${turn.user} ${turn.answer ?? ''}`).not.toMatch(/\{\w+\}|undefined/)
    }
  })
})

describe('the answers of the generator', () => {
  const answersOf = (task: string) =>
    manySamples(21, 300)
      .filter((sample) => sample.task === task)
      .map(({ turns }) => ({ user: turns.at(-1)?.user ?? '', answer: turns.at(-1)?.answer ?? '' }))

  it('have sums that a calculator finds in the question alone', () => {
    const signs: readonly (readonly [RegExp, (a: number, b: number) => number])[] = [
      [/\+|plus|add|sum/i, (a, b) => a + b],
      [/ - |\d-\d|minus/i, (a, b) => a - b],
      [/subtract|take .* from/i, (a, b) => b - a],
      [/\*|times|multiply|product/i, (a, b) => a * b],
      [/how often/i, (a, b) => b / a],
      [/\/|divide/i, (a, b) => a / b],
    ]
    const tasks = ['addition, 2 digits', 'subtraction, 2 digits', 'arithmetic, 3 digits', 'multiplication', 'division']
    for (const { user, answer } of tasks.flatMap(answersOf)) {
      const [a = Number.NaN, b = Number.NaN] = user.match(/\d+/g)?.map(Number) ?? []
      const compute = signs.find(([pattern]) => pattern.test(user))?.[1]
      const given = Number(/(-?\d+)\.?$/.exec(answer)?.[1])
      // `Add 3 to 5` and `Take 3 away from 5` name the numbers in the other order; sums do not mind.
      expect(given, user).toBe(compute?.(a, b))
    }
  })

  it('sort what was given: the same numbers, none before a smaller or larger one', () => {
    for (const { user, answer } of answersOf('sorting, 4 numbers')) {
      const given = user.match(/\d+/g)?.map(Number) ?? []
      const sorted = answer.split(', ').map(Number)
      const down = /descending|largest to|high to low/.test(user)
      for (const [at, value] of sorted.entries()) {
        const next = sorted[at + 1]
        if (next !== undefined) expect(down ? value >= next : value <= next, user).toBe(true)
        expect(given.splice(given.indexOf(value), 1)).toEqual([value])
      }
      expect(given).toEqual([])
    }
  })

  it('extract values that stand in the text, under the keys that were asked for', () => {
    for (const { user, answer } of answersOf('JSON extraction')) {
      for (const [key, value] of Object.entries(JSON.parse(answer) as Record<string, string | number>)) {
        expect(user).toContain(key)
        expect(user).toContain(String(value))
      }
    }
  })
})

describe('the definitions', () => {
  it('stand in the glossary word for word', () => {
    const glossary = readFileSync(new URL('../../../docs/glossary.md', import.meta.url), 'utf8')
    for (const { term, text } of definitions) expect(glossary).toContain(`**${term}**: ${text}`)
    expect(glossary.match(/^\*\*/gm)).toHaveLength(definitions.length)
  })

  it('state their own key facts', () => {
    for (const { text, facts } of definitions) {
      for (const fact of facts) expect(text.toLowerCase()).toContain(fact.toLowerCase())
    }
  })
})
