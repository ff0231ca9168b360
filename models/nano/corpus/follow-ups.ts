import type { Random } from '../../../src/core/index.ts'
import { equation, type Problem, valueOf } from './arithmetic.ts'
import { definitions, furtherQuestions, questions, someTerm } from './definitions.ts'
import { fill, integer, pick, pickSome, type Sample, type Turn } from './sample.ts'
import { callOf, domains, instantiate, phraseOf, resultOf } from './tools.ts'
import { animals, capitalised, cityName, coinedWord, colours, firstName, jobs } from './words.ts'

const task = 'multi-turn reference'

interface Fact {
  readonly value: (random: Random) => string
  readonly tell: readonly string[]
  readonly reply: string
  readonly ask: readonly string[]
  readonly recall: string
}

const facts: readonly Fact[] = [
  {
    value: firstName,
    tell: ['My name is {x}.', 'I am {x}.', 'Call me {x}.', 'Hello, my name is {x}.', 'Hi, I am {x}.'],
    reply: 'Nice to meet you, {x}!',
    ask: ['What is my name?', 'Who am I?', 'Do you remember my name?', 'What was my name?'],
    recall: 'Your name is {x}.',
  },
  {
    value: cityName,
    tell: ['I live in {x}.', 'My home is {x}.', 'I come from {x}.'],
    reply: 'I will remember that you live in {x}.',
    ask: ['Where do I live?', 'Which city do I live in?', 'What is my city?'],
    recall: 'You live in {x}.',
  },
  {
    value: (r) => pick(r, colours),
    tell: ['My favorite color is {x}.', 'I like {x} best of all colors.'],
    reply: 'I will remember that your favorite color is {x}.',
    ask: ['What is my favorite color?', 'Which color do I like?'],
    recall: 'Your favorite color is {x}.',
  },
  {
    value: (r) => pick(r, jobs),
    tell: ['I work as a {x}.', 'My job is {x}.'],
    reply: 'I will remember that you work as a {x}.',
    ask: ['What is my job?', 'What do I do for a living?'],
    recall: 'You work as a {x}.',
  },
  {
    value: (r) => capitalised(coinedWord(r)),
    tell: ['My dog is called {x}.', 'I have a dog named {x}.'],
    reply: 'I will remember that your dog is called {x}.',
    ask: ['What is my dog called?', 'What is the name of my dog?'],
    recall: 'Your dog is called {x}.',
  },
  {
    value: (r) => `${integer(r, 10, 999)}`,
    tell: ['My number is {x}.', 'Remember the number {x}.', 'The number is {x}.'],
    reply: 'I will remember the number {x}.',
    ask: ['What is the number?', 'Which number did I tell you?', 'What number should you remember?'],
    recall: 'The number is {x}.',
  },
  {
    value: (r) => coinedWord(r),
    tell: ['The password is {x}.', 'Remember the word {x}.', 'My code word is {x}.'],
    reply: 'I will remember the word {x}.',
    ask: ['What is the word?', 'Which word did I tell you?', 'What is the code word?'],
    recall: 'The word is {x}.',
  },
  {
    value: (r) => pick(r, animals),
    tell: ['I have a {x}.', 'My pet is a {x}.'],
    reply: 'I will remember that you have a {x}.',
    ask: ['Which animal do I have?', 'What is my pet?'],
    recall: 'You have a {x}.',
  },
]

/** Something told, up to two other facts or sums between, then asked for. */
export function recall(random: Random): Sample {
  const [first, ...others] = pickSome(random, facts, integer(random, 1, 3)).map((fact) => ({
    fact,
    x: fact.value(random),
  }))
  if (first === undefined) throw new RangeError('There is no fact to tell.')
  const tell = ({ fact, x }: { fact: Fact; x: string }): Turn => ({
    user: fill(pick(random, fact.tell), { x }),
    answer: fill(fact.reply, { x }),
  })
  const turns = [tell(first), ...others.map(tell)]
  if (random() < 0.4) {
    const problem: Problem = { left: integer(random, 1, 50), sign: '+', right: integer(random, 1, 49) }
    turns.push({ user: `What is ${problem.left} + ${problem.right}?`, answer: `${equation(problem)}.` })
  }
  const answer = fill(first.fact.recall, { x: first.x })
  turns.push({ user: pick(random, first.fact.ask), answer })
  return { task, key: `recall:${answer}`, turns, check: { kind: 'contains', text: first.x } }
}

const furtherSums: readonly (readonly [Problem['sign'], string])[] = [
  ['+', 'Now add {x}.'],
  ['+', 'Add {x} to that.'],
  ['+', 'And plus {x}?'],
  ['+', 'Add {x} to the result.'],
  ['-', 'Now subtract {x}.'],
  ['-', 'Subtract {x} from that.'],
  ['-', 'And minus {x}?'],
  ['-', 'Take away {x}.'],
]

/** A sum, then one or two more steps from its result. */
export function chainedSums(random: Random): Sample {
  let problem: Problem = { left: integer(random, 10, 60), sign: '+', right: integer(random, 1, 39) }
  const turns: Turn[] = [{ user: `What is ${problem.left} + ${problem.right}?`, answer: `${equation(problem)}.` }]
  let key = `chain:${problem.left}+${problem.right}`
  for (let further = integer(random, 1, 2); further > 0; further--) {
    const [sign, phrase] = pick(random, furtherSums)
    const left = valueOf(problem)
    problem = { left, sign, right: integer(random, 1, sign === '-' ? Math.min(left, 30) || 1 : 30) }
    if (valueOf(problem) < 0) problem = { ...problem, sign: '+' }
    const asked = problem.sign === sign ? phrase : 'Now add {x}.'
    turns.push({ user: fill(asked, { x: `${problem.right}` }), answer: `${equation(problem)}.` })
    key += `${problem.sign}${problem.right}`
  }
  return { task, key, turns, check: { kind: 'number', value: valueOf(problem) } }
}

/** A sorted list, then a question about it. */
export function aboutList(random: Random): Sample {
  const numbers = Array.from({ length: integer(random, 3, 5) }, () => integer(random, 1, 99))
  const up = [...numbers].sort((a, b) => a - b)
  const list = numbers.join(', ')
  const [ask, answer] = pick(random, [
    ['Now in descending order.', up.toReversed().join(', ')],
    ['And from largest to smallest?', up.toReversed().join(', ')],
    ['Which one is the largest?', `The largest number is ${up.at(-1) ?? ''}.`],
    ['Which of them is the smallest?', `The smallest number is ${up[0] ?? ''}.`],
    ['What is the first one?', `The first number is ${up[0] ?? ''}.`],
    ['How many numbers are there?', `There are ${numbers.length} numbers.`],
  ] as const)
  const turns = [
    { user: fill(pick(random, ['Sort {list}.', 'Sort these numbers: {list}']), { list }), answer: up.join(', ') },
    { user: ask, answer },
  ]
  return { task, key: `about:${ask}:${list}`, turns, check: { kind: 'exact', text: answer } }
}

/** One term, then another with a short question. */
export function furtherTerm(random: Random): Sample {
  const first = pick(random, definitions)
  const second = someTerm(random)
  const turns = [
    { user: fill(pick(random, questions), { x: first.term }), answer: first.text },
    { user: fill(pick(random, furtherQuestions), { x: second.name }), answer: second.definition.text },
  ]
  return {
    task,
    key: `terms:${first.term}:${second.name}`,
    turns,
    check: { kind: 'facts', facts: second.definition.facts },
  }
}

/** A tool's answer, then the same question about something else. */
export function furtherCall(random: Random): Sample {
  const [domain, other] = pickSome(random, domains.slice(0, 2), 2)
  if (domain === undefined || other === undefined) throw new RangeError('There are not two domains to choose from.')
  const instance = instantiate(random, domain)
  const tools = random() < 0.5 ? [instance.tool] : [instance.tool, instantiate(random, other).tool]
  const [first, second] = [cityName(random), cityName(random)]
  const { result, answer } = resultOf(random, instance, [first])
  const calls = [callOf(instance, [second])]
  const turns = [
    { user: phraseOf(random, instance, [first]), calls: [callOf(instance, [first])], results: [result], answer },
    {
      user: fill(pick(random, ['And in {x}?', 'What about {x}?', 'And {x}?', 'Now {x}, please.']), { x: second }),
      calls,
    },
  ]
  return { task, key: `again:${first}|${second}`, tools, turns, check: { kind: 'calls', calls } }
}
