import type { Random } from '../../../src/core/index.ts'
import { fill, integer, pick, pickSome, type Sample } from './sample.ts'
import { capitalised, coinedWord, firstName, months, weekdays, words } from './words.ts'

interface Operation {
  readonly name: string
  readonly phrases: readonly string[]
  readonly apply: (word: string) => string
}

const operations: readonly Operation[] = [
  {
    name: 'upper',
    phrases: [
      'Write {x} in capital letters.',
      'Convert {x} to uppercase.',
      'Uppercase {x}.',
      'Write "{x}" in upper case.',
    ],
    apply: (x) => x.toUpperCase(),
  },
  {
    name: 'spell',
    phrases: ['Spell {x}.', 'How do you spell {x}?', 'Spell the word {x}.', 'Spell "{x}" letter by letter.'],
    apply: (x) => x.split('').join('-'),
  },
  {
    name: 'first',
    phrases: [
      'What is the first letter of {x}?',
      'Which letter does {x} start with?',
      'Give me the first letter of "{x}".',
    ],
    apply: (x) => x.charAt(0),
  },
  {
    name: 'last',
    phrases: [
      'What is the last letter of {x}?',
      'Which letter does {x} end with?',
      'Give me the last letter of "{x}".',
    ],
    apply: (x) => x.charAt(x.length - 1),
  },
  { name: 'capital', phrases: ['Capitalize {x}.', 'Capitalize the word "{x}".'], apply: capitalised },
]

/** One word, one operation. */
export function wordOperation(random: Random): Sample {
  const word = pick(random, words)
  const operation = pick(random, operations)
  const answer = operation.apply(word)
  return {
    task: 'letters of a word',
    key: `${operation.name}:${word}`,
    turns: [{ user: fill(pick(random, operation.phrases), { x: word }), answer }],
    check: { kind: 'exact', text: answer },
  }
}

/** A list of words: reversed, its ends, its length, joined. */
export function listOperation(random: Random): Sample {
  const chosen = pickSome(random, words, integer(random, 3, 6))
  const [list, spaced] = [chosen.join(', '), chosen.join(' ')]
  const [phrase, answer] = pick(random, [
    ['Reverse the order of these words: {list}', [...chosen].reverse().join(', ')],
    ['Reverse this list: {list}', [...chosen].reverse().join(', ')],
    ['What is the first word in: {list}?', chosen[0] ?? ''],
    ['What is the last word in: {list}?', chosen.at(-1) ?? ''],
    ['What is the last word of "{spaced}"?', chosen.at(-1) ?? ''],
    ['How many words are in "{spaced}"?', `${chosen.length}`],
    ['Count the words: {list}', `${chosen.length}`],
    ['Join these words with hyphens: {list}', chosen.join('-')],
    ['Remove the commas: {list}', spaced],
    ['What is the second word in: {list}?', chosen[1] ?? ''],
  ] as const)
  return {
    task: 'lists of words',
    key: `${phrase}:${list}`,
    turns: [{ user: fill(phrase, { list, spaced }), answer }],
    check: { kind: 'exact', text: answer },
  }
}

/** Saying again what was said, whatever it is. */
export function repetition(random: Random): Sample {
  const parts = Array.from({ length: integer(random, 1, 6) }, () => {
    const kind = random()
    if (kind < 0.4) return pick(random, words)
    if (kind < 0.75) return coinedWord(random)
    return kind < 0.9 ? firstName(random) : `${integer(random, 0, 999)}`
  })
  const text = parts.join(' ') + pick(random, ['', '', '.', '!'])
  const phrase = pick(random, [
    'Repeat after me: {text}',
    'Repeat: {text}',
    'Say: {text}',
    'Say "{text}"',
    'Echo this: {text}',
    'Please repeat "{text}"',
  ])
  return {
    task: 'repetition',
    key: `repeat:${text}`,
    turns: [{ user: fill(phrase, { text }), answer: text }],
    check: { kind: 'exact', text },
  }
}

const sequences: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'weekdays',
    weekdays.join(', '),
    ['List the days of the week.', 'What are the days of the week?', 'Name the weekdays.'],
  ],
  ['months', months.join(', '), ['List the months of the year.', 'What are the months?', 'Name the twelve months.']],
  [
    'alphabet',
    'a b c d e f g h i j k l m n o p q r s t u v w x y z',
    ['Write the alphabet.', 'What is the alphabet?', 'List the letters of the alphabet.'],
  ],
  ['seasons', 'spring, summer, autumn, winter', ['List the seasons.', 'What are the four seasons?']],
]

export function knownSequence(random: Random): Sample {
  const [name, answer, phrases] = pick(random, sequences)
  const user = pick(random, phrases)
  return {
    task: 'known lists',
    key: `known:${name}`,
    turns: [{ user, answer }],
    check: { kind: 'exact', text: answer },
  }
}
