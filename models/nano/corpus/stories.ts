import type { Random } from '../../../src/core/index.ts'
import { fill, pick, pickSome, type Sample } from './sample.ts'
import { animals, colours, firstNames, words } from './words.ts'

const openings = [
  'Once there was a {colour} {animal} called {name}.',
  'A {animal} named {name} lived by the {a}.',
  'Long ago, {name} the {animal} found a {colour} {a}.',
  'In a small village lived {name}, a {colour} {animal}.',
]
const middles = [
  'Every morning {name} walked to the {b}.',
  'One day a {colour2} {animal2} came to the {a}.',
  '{name} wanted to see the {b} more than anything.',
  'The {animal2} said: "Come with me to the {b}."',
  'They carried a {c} over the {b}.',
  'It rained, and the {c} was lost.',
  'Behind the {b} stood an old {c}.',
  '{name} was not afraid.',
  'The way was long, but the {colour2} {c} showed it.',
]
const endings = [
  'In the end they shared the {c} and were friends.',
  'Since then {name} sleeps beside the {b}.',
  'And {name} went home with a {colour2} {c}.',
  'That evening the {a} was quiet again.',
  'Nobody ever saw the {c} again.',
]
const requests = [
  'Tell me a story.',
  'Tell me a short story about a {animal}.',
  'Write a short story about a {animal}.',
  'Tell me a story about {name} the {animal}.',
  'Tell a story about a {animal} and a {animal2}.',
  'Write a story.',
  'Make up a story about a {animal}.',
  'Tell me a longer story about a {animal}.',
]

/** A tale of a few sentences. Its words are free, so sampling has something to choose from. */
export function story(random: Random): Sample {
  const [animal = '', animal2 = ''] = pickSome(random, animals, 2)
  const [a = '', b = '', c = ''] = pickSome(random, words, 3)
  const [colour = '', colour2 = ''] = pickSome(random, colours, 2)
  const slots = { animal, animal2, a, b, c, colour, colour2, name: pick(random, firstNames) }
  const request = pick(random, requests)
  const count = request.includes('longer') ? 8 : 3
  const sentences = [pick(random, openings), ...pickSome(random, middles, count), pick(random, endings)]
  const text = fill(sentences.join(' '), slots)
  const named = request.includes('{animal}')
  return {
    task: 'stories',
    key: `story:${text}`,
    turns: [{ user: fill(request, slots), answer: text }],
    check: { kind: 'facts', facts: [named ? animal : '.'] },
  }
}
