import type { Random } from '../../../src/core/index.ts'
import {
  fill,
  integer,
  inWords,
  pick,
  pickSome,
  type Call,
  type Json,
  type Sample,
  type Tool,
  type Turn,
} from './sample.ts'
import { cityName, clockTime, coinedWord, currencies, firstName, languages, weekdays, words } from './words.ts'

/**
 * One thing that tools can do. The names of functions and arguments vary, so that a model has to read the tool
 * list instead of remembering it.
 */
interface Domain {
  readonly names: readonly string[]
  readonly descriptions: readonly string[]
  /** Argument slots in order: the names that each may have, and its JSON type. */
  readonly arguments: readonly (readonly [names: readonly string[], type: string])[]
  /** Values for the slots, in the same order; `{0}`, `{1}` mark them in the phrases. */
  readonly values: (random: Random) => Json[]
  readonly phrases: readonly string[]
  /** What the function returns, and how the answer says it; both may use `{0}`…, and `{r}`, `{s}` for two results. */
  readonly results: (random: Random) => { readonly r: Json; readonly s?: Json }
  readonly resultKeys: readonly [string, string?]
  readonly answer: string
}

export const domains: readonly Domain[] = [
  {
    names: ['get_weather', 'weather', 'get_current_weather', 'lookup_weather', 'weather_in'],
    descriptions: ['Get the current weather in a city', 'Current weather of a place', 'Returns the weather'],
    arguments: [[['city', 'location', 'place'], 'string']],
    values: (r) => [cityName(r)],
    phrases: [
      'What is the weather in {0}?',
      "What's the weather like in {0}?",
      'How is the weather in {0}?',
      'Weather in {0}',
      'Is it raining in {0}?',
      'Will I need an umbrella in {0}?',
      'What is the weather like in {0} today?',
      'Tell me the weather in {0}.',
      'How warm is it in {0}?',
    ],
    results: (r) => ({
      r: integer(r, -9, 38),
      s: pick(r, ['sunny', 'cloudy', 'rain', 'snow', 'fog', 'windy', 'clear']),
    }),
    resultKeys: ['temperature', 'condition'],
    answer: 'The weather in {0}: {r} degrees, {s}.',
  },
  {
    names: ['get_time', 'current_time', 'get_local_time', 'clock'],
    descriptions: ['Get the local time in a city', 'Current time at a place'],
    arguments: [[['city', 'location', 'place'], 'string']],
    values: (r) => [cityName(r)],
    phrases: [
      'What time is it in {0}?',
      'What is the time in {0}?',
      'Tell me the local time in {0}.',
      'How late is it in {0} now?',
    ],
    results: (r) => ({ r: clockTime(r) }),
    resultKeys: ['time'],
    answer: 'It is {r} in {0}.',
  },
  {
    names: ['convert_currency', 'exchange', 'currency_convert', 'convert_money'],
    descriptions: ['Convert money between currencies', 'Convert an amount into another currency'],
    arguments: [
      [['amount', 'value'], 'number'],
      [['from', 'source', 'from_currency'], 'string'],
      [['to', 'target', 'to_currency'], 'string'],
    ],
    values: (r) => [integer(r, 1, 999), ...pickSome(r, currencies, 2)],
    phrases: [
      'Convert {0} {1} to {2}.',
      'How much is {0} {1} in {2}?',
      'What are {0} {1} in {2}?',
      'Change {0} {1} into {2}.',
    ],
    results: (r) => ({ r: integer(r, 1, 2000) }),
    resultKeys: ['result'],
    answer: '{0} {1} are {r} {2}.',
  },
  {
    names: ['send_email', 'send_mail', 'email', 'write_email'],
    descriptions: ['Send an email', 'Send a mail to a person'],
    arguments: [
      [['to', 'recipient'], 'string'],
      [['subject', 'title'], 'string'],
    ],
    values: (r) => [
      random2(r) ? `${coinedWord(r)}@${pick(r, words)}.com` : firstName(r),
      `${pick(r, words)} ${pick(r, words)}`,
    ],
    phrases: [
      'Send an email to {0} about {1}.',
      'Write a mail to {0} with the subject {1}.',
      'Email {0} about {1}.',
      'Send {0} a mail about {1}.',
    ],
    results: () => ({ r: 'sent' }),
    resultKeys: ['status'],
    answer: 'The mail to {0} is sent.',
  },
  {
    names: ['set_reminder', 'create_reminder', 'remind', 'add_reminder'],
    descriptions: ['Create a reminder', 'Set a reminder for a time'],
    arguments: [
      [['text', 'message', 'task'], 'string'],
      [['time', 'at'], 'string'],
    ],
    values: (r) => [
      `${pick(r, ['buy', 'call', 'clean', 'fetch', 'water', 'open'])} the ${pick(r, words)}`,
      clockTime(r),
    ],
    phrases: ['Remind me to {0} at {1}.', 'Set a reminder at {1} to {0}.', 'At {1} remind me to {0}.'],
    results: () => ({ r: 'ok' }),
    resultKeys: ['status'],
    answer: 'I will remind you at {1}.',
  },
  {
    names: ['web_search', 'search', 'search_web', 'find_pages'],
    descriptions: ['Search the web', 'Find pages on the internet'],
    arguments: [[['query', 'q', 'text'], 'string']],
    values: (r) => [`${pick(r, words)} ${pick(r, words)}`],
    phrases: ['Search the web for {0}.', 'Look up {0} online.', 'Find pages about {0}.', 'Search for {0}.'],
    results: (r) => ({ r: integer(r, 2, 99) }),
    resultKeys: ['hits'],
    answer: 'I found {r} pages about {0}.',
  },
  {
    names: ['translate', 'translate_text', 'translator'],
    descriptions: ['Translate text into a language', 'Translate words'],
    arguments: [
      [['text', 'phrase'], 'string'],
      [['language', 'target', 'to'], 'string'],
    ],
    values: (r) => [`${pick(r, words)}${random2(r) ? '' : ` ${pick(r, words)}`}`, pick(r, languages)],
    phrases: [
      'Translate {0} into {1}.',
      'Translate "{0}" to {1}.',
      'How do you say {0} in {1}?',
      'What is {0} in {1}?',
    ],
    results: (r) => ({ r: coinedWord(r) }),
    resultKeys: ['translation'],
    answer: 'In {1} it is {r}.',
  },
  {
    names: ['create_event', 'add_event', 'calendar_add', 'schedule_meeting'],
    descriptions: ['Add an event to the calendar', 'Plan a meeting'],
    arguments: [
      [['title', 'name'], 'string'],
      [['day', 'date'], 'string'],
      [['time', 'start'], 'string'],
    ],
    values: (r) => [
      `${pick(r, words)} ${pick(r, ['meeting', 'party', 'lunch', 'review', 'class'])}`,
      pick(r, weekdays),
      clockTime(r),
    ],
    phrases: ['Add {0} on {1} at {2} to my calendar.', 'Schedule {0} for {1} at {2}.', 'Plan {0} on {1}, {2}.'],
    results: () => ({ r: 'created' }),
    resultKeys: ['status'],
    answer: '{0} is in your calendar on {1} at {2}.',
  },
  {
    names: ['get_stock_price', 'stock_price', 'quote', 'stock'],
    descriptions: ['Get the price of a stock', 'Stock quote by symbol'],
    arguments: [[['symbol', 'ticker'], 'string']],
    values: (r) => [coinedWord(r).slice(0, 4).toUpperCase()],
    phrases: [
      'What is the stock price of {0}?',
      'How much is {0} trading at?',
      'Price of {0} stock',
      'Get the quote for {0}.',
    ],
    results: (r) => ({ r: integer(r, 1, 900) }),
    resultKeys: ['price'],
    answer: '{0} stands at {r} dollars.',
  },
  {
    names: ['book_flight', 'find_flight', 'search_flights', 'flight'],
    descriptions: ['Find a flight between two cities', 'Book a flight'],
    arguments: [
      [['from', 'origin'], 'string'],
      [['to', 'destination'], 'string'],
      [['day', 'date'], 'string'],
    ],
    values: (r) => [cityName(r), cityName(r), pick(r, weekdays)],
    phrases: [
      'Find a flight from {0} to {1} on {2}.',
      'Book me a flight from {0} to {1} for {2}.',
      'I want to fly from {0} to {1} on {2}.',
    ],
    results: (r) => ({ r: integer(r, 40, 900) }),
    resultKeys: ['price'],
    answer: 'There is a flight from {0} to {1} on {2} for {r} dollars.',
  },
  {
    names: ['play_music', 'play_song', 'music', 'play'],
    descriptions: ['Play a song', 'Play music by title'],
    arguments: [[['title', 'song', 'track'], 'string']],
    values: (r) => [`${pick(r, words)} ${pick(r, words)}`],
    phrases: ['Play the song {0}.', 'Play {0}.', 'Put on {0}.', 'I want to hear {0}.'],
    results: () => ({ r: 'playing' }),
    resultKeys: ['status'],
    answer: '{0} is playing.',
  },
  {
    names: ['set_light', 'switch_light', 'light_control', 'dim_light'],
    descriptions: ['Set the brightness of a light', 'Dim the light of a room'],
    arguments: [
      [['room', 'place'], 'string'],
      [['level', 'brightness'], 'integer'],
    ],
    values: (r) => [
      pick(r, ['kitchen', 'bedroom', 'office', 'hall', 'garage', 'bathroom', 'garden', 'cellar']),
      integer(r, 0, 100),
    ],
    phrases: [
      'Set the {0} light to {1}.',
      'Dim the light in the {0} to {1} percent.',
      'Turn the {0} light to {1} percent.',
    ],
    results: () => ({ r: 'ok' }),
    resultKeys: ['status'],
    answer: 'The light in the {0} is at {1} percent.',
  },
  {
    names: ['set_timer', 'start_timer', 'timer'],
    descriptions: ['Start a timer', 'Start a timer in minutes'],
    arguments: [[['minutes', 'duration'], 'integer']],
    values: (r) => [integer(r, 1, 120)],
    phrases: ['Set a timer for {0} minutes.', 'Start a timer of {0} minutes.', 'Timer for {0} minutes'],
    results: () => ({ r: 'started' }),
    resultKeys: ['status'],
    answer: 'The timer runs for {0} minutes.',
  },
  {
    names: ['get_user', 'find_user', 'lookup_user', 'load_customer', 'get_order', 'find_ticket'],
    descriptions: ['Load a record by its number', 'Look up an entry by id'],
    arguments: [[['id', 'number', 'user_id'], 'integer']],
    values: (r) => [integer(r, 1, 9999)],
    phrases: ['Look up number {0}.', 'Load the record {0}.', 'Show me entry {0}.', 'Find the one with id {0}.'],
    results: (r) => ({ r: firstName(r) }),
    resultKeys: ['name'],
    answer: 'Number {0} belongs to {r}.',
  },
]

function random2(random: Random): boolean {
  return random() < 0.5
}

/** A domain as one concrete function, with the argument names that it got. */
export interface Instance {
  readonly domain: Domain
  readonly tool: Tool
  readonly argumentNames: readonly string[]
}

export function instantiate(random: Random, domain: Domain): Instance {
  const argumentNames = domain.arguments.map(([names]) => pick(random, names))
  const parameters = Object.fromEntries(domain.arguments.map(([, type], at) => [argumentNames[at] ?? '', type]))
  const coined = random() < 0.12
  const name = coined ? `${coinedWord(random)}_${pick(random, words)}` : pick(random, domain.names)
  return { domain, tool: { name, description: pick(random, domain.descriptions), parameters }, argumentNames }
}

function slotsOf(values: readonly Json[], more: Readonly<Record<string, Json>> = {}): Record<string, string> {
  return Object.fromEntries(
    [...Object.entries(values), ...Object.entries(more)].map(([key, value]) => [key, inWords(value)]),
  )
}

export function callOf(instance: Instance, values: readonly Json[]): Call {
  return {
    name: instance.tool.name,
    arguments: Object.fromEntries(instance.argumentNames.map((name, at) => [name, values[at] ?? null])),
  }
}

/** A result as the function returns it, and the sentence that tells it. */
export function resultOf(
  random: Random,
  instance: Instance,
  values: readonly Json[],
): { result: Json; answer: string } {
  const { r, s } = instance.domain.results(random)
  const [first, second] = instance.domain.resultKeys
  return {
    result: second === undefined || s === undefined ? { [first]: r } : { [first]: r, [second]: s },
    answer: fill(instance.domain.answer, slotsOf(values, s === undefined ? { r } : { r, s })),
  }
}

export function phraseOf(random: Random, instance: Instance, values: readonly Json[]): string {
  return fill(pick(random, instance.domain.phrases), slotsOf(values))
}

/** One function asked for among one to four; half of the time the dialogue goes on with its result. */
export function toolSelection(random: Random): Sample {
  const instances = pickSome(random, domains, integer(random, 1, 4)).map((domain) => instantiate(random, domain))
  const tools = instances.map(({ tool }) => tool)
  return useOf(random, pick(random, instances), tools)
}

/** One more use of tools that the dialogue has. */
export function furtherUse(random: Random, tools: readonly Tool[]): Sample {
  return useOf(random, instanceOf(pick(random, tools)), tools)
}

/** The turn with the result of its one call and the sentence that tells it; as it is where it has them, or calls twice. */
export function withResult(random: Random, turn: Turn, tools: readonly Tool[]): Turn {
  const [call, second] = turn.calls ?? []
  const tool = tools.find(({ name }) => name === call?.name)
  if (call === undefined || tool === undefined || second !== undefined || turn.answer !== undefined) return turn
  const { result, answer } = resultOf(random, instanceOf(tool), Object.values(call.arguments))
  return { ...turn, results: [result], answer }
}

/** The instance behind a tool that `instantiate` made: each description belongs to one domain. */
function instanceOf(tool: Tool): Instance {
  const domain = domains.find(({ descriptions }) => descriptions.includes(tool.description))
  if (domain === undefined) throw new RangeError(`No domain is described as '${tool.description}'.`)
  return { domain, tool, argumentNames: Object.keys(tool.parameters) }
}

function useOf(random: Random, chosen: Instance, tools: readonly Tool[]): Sample {
  const values = chosen.domain.values(random)
  const call = callOf(chosen, values)
  const key = `tool:${chosen.domain.names[0] ?? ''}:${values.map(inWords).join('|')}`
  const user = phraseOf(random, chosen, values)
  if (random() < 0.65) {
    return {
      task: 'tool selection',
      key,
      tools,
      turns: [{ user, calls: [call] }],
      check: { kind: 'calls', calls: [call] },
    }
  }
  const { result, answer } = resultOf(random, chosen, values)
  const turn = { user, calls: [call], results: [result], answer }
  return { task: 'answer from a tool result', key, tools, turns: [turn], check: { kind: 'exact', text: answer } }
}

/** The same function for two things at once. */
export function parallelCalls(random: Random): Sample {
  const instances = pickSome(random, domains.slice(0, 2), 1).map((domain) => instantiate(random, domain))
  const [chosen] = instances
  if (chosen === undefined) throw new RangeError('There is no domain to choose from.')
  const cities = [cityName(random), cityName(random)]
  const calls = cities.map((city) => callOf(chosen, [city]))
  return {
    task: 'two tool calls',
    key: `tools:${cities.join('|')}`,
    tools: [chosen.tool],
    turns: [{ user: phraseOf(random, chosen, [cities.join(' and ')]), calls }],
    check: { kind: 'calls', calls },
  }
}
