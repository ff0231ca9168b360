import type { Random } from '../../../src/core/index.ts'
import { fill, integer, inWords, pick, pickSome, type Json, type Sample } from './sample.ts'
import {
  animals,
  capitalised,
  cities,
  cityName,
  clockTime,
  coinedWord,
  colours,
  firstName,
  fullName,
  items,
  jobs,
  lastNames,
  weekdays,
  words,
} from './words.ts'

type Fields = Readonly<Record<string, (random: Random) => Json>>

/** A kind of text: the fields it carries, and ways to write it. `{field}` marks where a value stands. */
interface Schema {
  readonly fields: Fields
  readonly texts: readonly string[]
}

const person: Schema = {
  fields: { name: fullName, age: (r) => integer(r, 18, 90), city: cityName, job: (r) => pick(r, jobs) },
  texts: [
    '{name} is {age} years old, lives in {city} and works as a {job}.',
    'My name is {name}. I am {age}, I live in {city} and I am a {job}.',
    '{name}, {age}, is a {job} from {city}.',
    'The {job} {name} ({age}) comes from {city}.',
    'In {city} we met {name}, a {job} of {age} years.',
    'This is {name}, {age} years old, a {job} in {city}.',
  ],
}

const order: Schema = {
  fields: {
    customer: fullName,
    item: (r) => pick(r, items),
    quantity: (r) => integer(r, 2, 99),
    price: (r) => integer(r, 1, 500),
  },
  texts: [
    '{customer} ordered {quantity} {item} for {price} dollars.',
    'Order: {quantity} {item}, price {price}, customer {customer}.',
    'Please send {quantity} {item} to {customer}. The price is {price} dollars.',
    'We sold {quantity} {item} to {customer} for {price} euros.',
    '{customer} bought {quantity} {item} and paid {price} dollars.',
  ],
}

const meeting: Schema = {
  fields: {
    topic: (r) => pick(r, words),
    day: (r) => pick(r, weekdays),
    time: clockTime,
    room: (r) => integer(r, 1, 400),
  },
  texts: [
    'The {topic} meeting is on {day} at {time} in room {room}.',
    'We talk about the {topic} on {day}, {time}, room {room}.',
    'On {day} at {time} we meet in room {room}. Topic: {topic}.',
    'Meeting on {day} at {time}, room {room}, topic {topic}.',
  ],
}

const contact: Schema = {
  fields: {
    name: fullName,
    email: (r) =>
      `${pick(r, [firstName(r).toLowerCase(), coinedWord(r)])}@${pick(r, words)}.${pick(r, ['com', 'org', 'net', 'example'])}`,
    phone: (r) => `${integer(r, 100, 999)}-${integer(r, 1000, 9999)}`,
  },
  texts: [
    'Contact {name} at {email} or call {phone}.',
    '{name} can be reached at {phone} or by mail at {email}.',
    'Name: {name}, mail: {email}, phone: {phone}.',
    'Write to {email} or ring {phone} and ask for {name}.',
  ],
}

const product: Schema = {
  fields: {
    product: (r) => `${pick(r, words)} ${pick(r, words)}`,
    colour: (r) => pick(r, colours),
    price: (r) => integer(r, 1, 900),
    stock: (r) => integer(r, 0, 300),
  },
  texts: [
    'The {product} in {colour} costs {price} dollars; {stock} are in stock.',
    '{product}: colour {colour}, price {price}, stock {stock}.',
    'We have {stock} of the {colour} {product} at {price} dollars each.',
  ],
}

const trip: Schema = {
  fields: {
    passenger: (r) => `${firstName(r)} ${pick(r, lastNames)}`,
    from: (r) => pick(r, cities),
    to: cityName,
    day: (r) => pick(r, weekdays),
  },
  texts: [
    '{passenger} flies from {from} to {to} on {day}.',
    'On {day} {passenger} travels from {from} to {to}.',
    'Ticket for {passenger}: {from} to {to}, {day}.',
  ],
}

const pet: Schema = {
  fields: {
    owner: firstName,
    animal: (r) => pick(r, animals),
    name: (r) => capitalised(random5(r)),
    age: (r) => integer(r, 1, 20),
  },
  texts: [
    '{owner} has a {animal} called {name}, {age} years old.',
    'The {animal} {name} is {age} and belongs to {owner}.',
    '{name} is the {age} year old {animal} of {owner}.',
  ],
}

function random5(random: Random): string {
  return random() < 0.5 ? pick(random, words) : coinedWord(random)
}

const schemas = [person, person, order, order, meeting, contact, product, trip, pet]
const asks = [
  'Extract {keys} as JSON: {text}',
  'Extract {keys} as JSON from this text: {text}',
  'Return JSON with {keys}. Text: {text}',
  '{text} Extract {keys} as JSON.',
  'Give me {keys} as a JSON object: {text}',
  'Turn this into JSON with the keys {keys}: {text}',
  '{text}\n\nReturn {keys} as JSON.',
]

/** `a`, `a and b`, `a, b and c`. */
function enumeration(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}`
}

/** JSON with a space after each comma and colon, as the model writes it. */
export function spacedJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([key, inner]) => `${JSON.stringify(key)}: ${spacedJson(inner)}`)
    .join(', ')}}`
}

/** A record taken out of a short text, with the asked keys in the asked order. */
export function extraction(random: Random): Sample {
  const schema = pick(random, schemas)
  const record: Record<string, Json> = {}
  for (const [field, make] of Object.entries(schema.fields)) record[field] = make(random)
  const names = Object.keys(schema.fields)
  const keys = random() < 0.4 ? names : pickSome(random, names, integer(random, 1, names.length))
  const values = Object.fromEntries(Object.entries(record).map(([field, value]) => [field, inWords(value)]))
  const text = fill(pick(random, schema.texts), values)
  const answer = Object.fromEntries(keys.map((key) => [key, record[key] ?? null]))
  const list = random() < 0.2 ? keys.join(', ') : enumeration(keys)
  return {
    task: 'JSON extraction',
    key: `json:${Object.values(values).join('|')}`,
    turns: [{ user: fill(pick(random, asks), { keys: list, text }), answer: spacedJson(answer) }],
    check: { kind: 'json', value: answer },
  }
}
