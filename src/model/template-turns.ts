import type { TextMessage, ToolCall } from '../inference/index.ts'
import type { ProbeMessage, TemplateProbe } from './template-probe.ts'

/**
 * Which orders of messages a template renders whole. OpenAI's API takes messages in any order; many templates refuse
 * some, or leave messages out without a word. What one does not take is merged, split or moved before it is rendered.
 */
export interface TurnTraits {
  /** `system` messages at all; without it their text joins the next user message. */
  readonly system: boolean
  /** More than one system message before the first turn; without it they become one. */
  readonly systemRun: boolean
  /** System messages between turns; without it their text joins the next user message. */
  readonly systemBetween: boolean
  /** The assistant's message before any user's; without it an empty user message goes first. */
  readonly assistantFirst: boolean
  /** A user message behind another; without it they become one. */
  readonly userRun: boolean
  /** The same for the assistant. */
  readonly assistantRun: boolean
  /** Several calls in one message; without it each gets a message, with its result behind it. */
  readonly callRun: boolean
  /** A system message in a conversation that ends with the assistant's; without it the text joins the next user message. */
  readonly systemBeforeFinal: boolean
  /** Conversations without a user message; without it an empty one stands behind the system messages. */
  readonly withoutUser: boolean
  /** Text beside calls; without it the text gets a message of its own. */
  readonly textBesideCalls: boolean
  /** A user message behind a tool's result; else an empty answer goes between, or the text joins the result. */
  readonly userAfterTool: 'taken' | 'answered' | 'joined'
}

/**
 * `someArguments`: of a call, as the template wants them; undefined where it writes no calls. `developerRole`: such messages
 * come, too.
 */
export function probeTurns(
  probe: TemplateProbe,
  content: (text: string) => unknown,
  someArguments: unknown,
  developerRole: boolean,
): TurnTraits {
  const say = (role: string, text: string): ProbeMessage => ({ role, content: content(text) })
  const [one, two, three] = ['xONEx', 'xTWOx', 'xTHREEx'] as const
  const calls = (text: string, ...names: readonly string[]): ProbeMessage => ({
    ...say('assistant', text),
    tool_calls: names.map((name, at) => ({
      id: `call0000${at}`,
      type: 'function',
      function: { name, arguments: someArguments },
    })),
  })
  const result = (at: number, name: string, text: string): ProbeMessage => ({
    ...say('tool', text),
    tool_call_id: `call0000${at}`,
    name,
  })
  const separates = (between: readonly ProbeMessage[]): boolean =>
    probe.shows(
      [one, two, three],
      [say('user', one), calls('', 'probe'), result(0, 'probe', two), ...between, say('user', three)],
    )
  const system = probe.shows([one, two], [say('system', one), say('user', two)])
  const roles = developerRole ? ['system', 'developer'] : ['system']
  const systems = roles.flatMap((role) => [[role, 'system'] as const, ['system', role] as const])
  const tool = {
    type: 'function',
    function: { name: 'probe', description: 'd', parameters: { type: 'object', properties: {} } },
  }
  const turns = [say('user', 'hello'), say('assistant', 'yes')]
  return {
    system,
    systemRun: systems.every(([first, second]) =>
      probe.shows([one, two, three], [say(first, one), say(second, two), say('user', three)]),
    ),
    systemBetween: roles.every((role) =>
      probe.shows([one, two, three], [say('system', one), ...turns, say(role, two), say('user', three)]),
    ),
    systemBeforeFinal: probe.shows([one, two, three], [say('system', one), say('user', two), say('assistant', three)]),
    withoutUser: ['system', 'assistant'].every((role) =>
      [null, [tool]].every((tools) => probe.shows([one], [say(role, one)], [], { tools })),
    ),
    assistantFirst:
      probe.shows([one, two], [say('assistant', one), say('user', two)]) &&
      (!system || probe.shows([one, two, three], [say('system', one), say('assistant', two), say('user', three)])),
    userRun: probe.shows([one, two, three], [say('user', one), say('user', two), say('assistant', three)]),
    assistantRun: probe.shows([one, two, three], [say('user', one), say('assistant', two), say('assistant', three)]),
    callRun: probe.shows(
      [two, three],
      [say('user', 'hello'), calls('', 'probe', one), result(0, 'probe', two), result(1, one, three)],
      [one],
    ),
    textBesideCalls: [[], [say('assistant', 'yes'), say('user', 'ok')]].every((later) =>
      probe.shows([one, two], [say('user', 'hello'), calls(one, three), result(0, three, two), ...later], [three]),
    ),
    userAfterTool: separates([]) ? 'taken' : separates([say('assistant', '')]) ? 'answered' : 'joined',
  }
}

/** The same conversation in an order that the template renders whole. `continued`: its last message stays the last. */
export function arrangeTurns(
  messages: readonly TextMessage[],
  traits: TurnTraits,
  continued: boolean,
): readonly TextMessage[] {
  let arranged = messages
  if (!traits.callRun) arranged = splitCalls(arranged)
  if (!traits.textBesideCalls) arranged = splitText(arranged, traits.assistantRun)
  if (!traits.systemRun) arranged = joinLeadingSystems(arranged)
  arranged = moveSystems(arranged, traits, continued)
  if (traits.userAfterTool !== 'taken') arranged = separateResults(arranged, traits.userAfterTool)
  arranged = joinRuns(
    arranged,
    (role) => (role === 'user' && !traits.userRun) || (role === 'assistant' && !traits.assistantRun),
  )
  return openByUser(arranged, traits)
}

const isSystem = ({ role }: TextMessage): boolean => role === 'system' || role === 'developer'

function joined(one: TextMessage, other: TextMessage): TextMessage {
  const toolCalls = [...(one.toolCalls ?? []), ...(other.toolCalls ?? [])]
  const reasoning = join(one.reasoning ?? '', other.reasoning ?? '')
  return {
    ...one,
    content: join(one.content, other.content),
    ...(reasoning === '' ? {} : { reasoning }),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
  }
}

function join(one: string, other: string): string {
  return one === '' || other === '' ? one + other : `${one}\n\n${other}`
}

function joinLeadingSystems(messages: readonly TextMessage[]): readonly TextMessage[] {
  const end = messages.findIndex((message) => !isSystem(message))
  const leading = messages.slice(0, end < 0 ? messages.length : end)
  if (leading.length < 2) return messages
  return [leading.reduce(joined), ...messages.slice(leading.length)]
}

/** Puts system texts that may not stand where they are in front of the next user message, or behind all as the user's. */
function moveSystems(messages: readonly TextMessage[], traits: TurnTraits, continued: boolean): readonly TextMessage[] {
  const leading = traits.system && (traits.systemBeforeFinal || messages.at(-1)?.role !== 'assistant')
  if (leading && traits.systemBetween) return messages
  const kept: TextMessage[] = []
  let pending = ''
  for (const message of messages) {
    const leads = kept.every(isSystem) && pending === ''
    if (isSystem(message) && !(leading && leads)) pending = join(pending, message.content)
    else if (message.role === 'user' && pending !== '') {
      kept.push({ ...message, content: join(pending, message.content) })
      pending = ''
    } else kept.push(message)
  }
  if (pending === '') return kept
  return kept.toSpliced(continued ? -1 : kept.length, 0, { role: 'user', content: pending })
}

function joinRuns(
  messages: readonly TextMessage[],
  joins: (role: TextMessage['role']) => boolean,
): readonly TextMessage[] {
  const kept: TextMessage[] = []
  for (const message of messages) {
    const last = kept.at(-1)
    // Calls stay the last of a turn: what follows them is another.
    const same = last !== undefined && last.role === message.role && last.toolCalls === undefined
    if (same && joins(message.role)) kept[kept.length - 1] = joined(last, message)
    else kept.push(message)
  }
  return kept
}

function openByUser(messages: readonly TextMessage[], traits: TurnTraits): readonly TextMessage[] {
  const end = messages.findIndex((message) => !isSystem(message))
  const at = end < 0 ? messages.length : end
  const lacksUser = !traits.withoutUser && !messages.some(({ role }) => role === 'user')
  if (!lacksUser && (traits.assistantFirst || messages[at]?.role !== 'assistant')) return messages
  return messages.toSpliced(at, 0, { role: 'user', content: '' })
}

function separateResults(messages: readonly TextMessage[], how: 'answered' | 'joined'): readonly TextMessage[] {
  const kept: TextMessage[] = []
  for (const message of messages) {
    const last = kept.at(-1)
    if (message.role !== 'user' || last?.role !== 'tool') kept.push(message)
    else if (how === 'answered') kept.push({ role: 'assistant', content: '' }, message)
    else kept[kept.length - 1] = { ...last, content: join(last.content, message.content) }
  }
  return kept
}

/** Each call in a message of its own, with its result behind it. The first keeps the text and the thinking. */
function splitCalls(messages: readonly TextMessage[]): readonly TextMessage[] {
  const kept: TextMessage[] = []
  const taken = new Set<TextMessage>()
  for (const [at, message] of messages.entries()) {
    if (taken.has(message)) continue
    const { toolCalls, ...told } = message
    if (toolCalls === undefined || toolCalls.length < 2) {
      kept.push(message)
      continue
    }
    for (const [ordinal, call] of toolCalls.entries()) {
      kept.push({ ...(ordinal === 0 ? told : { role: message.role, content: '' }), toolCalls: [call] })
      const answer = answerTo(call, messages, at)
      if (answer === undefined) continue
      kept.push(answer)
      taken.add(answer)
    }
  }
  return kept
}

/** The result of a call among those that follow its message at once. */
function answerTo(call: ToolCall, messages: readonly TextMessage[], at: number): TextMessage | undefined {
  for (const message of messages.slice(at + 1)) {
    if (message.role !== 'tool') return undefined
    if (message.toolCallId === call.id) return message
  }
  return undefined
}

/** Text beside calls in a message of its own, in front of them; where two in a row may not be, an empty user message between. */
function splitText(messages: readonly TextMessage[], assistantRun: boolean): readonly TextMessage[] {
  return messages.flatMap((message): readonly TextMessage[] => {
    if (message.toolCalls === undefined || message.content === '') return [message]
    const { toolCalls, ...told } = message
    const between: readonly TextMessage[] = assistantRun ? [] : [{ role: 'user', content: '' }]
    return [told, ...between, { role: message.role, content: '', toolCalls }]
  })
}
