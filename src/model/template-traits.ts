import type { ChatTemplate } from './chat-template.ts'
import { TemplateProbe, type ProbeMessage } from './template-probe.ts'
import { probeTurns, type TurnTraits } from './template-turns.ts'

/**
 * What a template expects of its input. Templates differ, and say so nowhere: each trait is found by rendering a
 * tiny conversation and looking where its marked words come out.
 */
export interface TemplateTraits {
  /** Knows the role `developer`; without it such messages become `system`. */
  readonly developerRole: boolean
  /** What `tools` must be where there are none. */
  readonly noTools: null | readonly []
  /** Shows `tools` to the model by itself. */
  readonly tools: boolean
  /** Writes the earlier calls of assistant messages, and their results, by itself. */
  readonly callHistory: boolean
  /** Wants the arguments of earlier calls as an object and serialises them itself; else as JSON text. */
  readonly argumentsAsObject: boolean
  /** Takes any text as arguments; without it they must be a JSON object's. */
  readonly anyArgumentsText: boolean
  /** Takes `content: null` on assistant messages that only call tools. */
  readonly nullContent: boolean
  /** Wants content as a list of typed parts. */
  readonly typedContent: boolean
  /** Text that the template puts behind an assistant message, up to its first closing mark; '' where it puts none. */
  readonly turnEnd: string
  /** Which orders of messages it takes. */
  readonly turns: TurnTraits
}

const needle = 'xNEEDLEx'

/** Probes the template. Never throws: a template that refuses a probe lacks that trait. */
export function probeTemplate(template: ChatTemplate, own: Readonly<Record<string, unknown>>): TemplateTraits {
  const hello = [{ role: 'user', content: 'hello' }]
  const noTools = new TemplateProbe(template, own).render(hello, { tools: null }) === '' ? [] : null
  const probe = new TemplateProbe(template, { tools: noTools, ...own })
  const typed = (text: string): ProbeMessage => ({ role: 'user', content: [{ type: 'text', text }] })
  const typedContent =
    !probe.render([{ role: 'user', content: needle }]).includes(needle) &&
    probe.render([typed(needle)]).includes(needle)
  const content = (text: string): unknown => (typedContent ? [{ type: 'text', text }] : text)
  const user = { role: 'user', content: content('hello') }

  const call = (args: unknown): unknown => ({
    id: 'call00001',
    type: 'function',
    function: { name: 'probe', arguments: args },
  })
  const calling = (args: unknown, text: unknown, result = 'done'): string =>
    probe.render([
      user,
      { role: 'assistant', content: text, tool_calls: [call(args)] },
      { role: 'tool', content: content(result), tool_call_id: 'call00001', name: 'probe' },
    ])
  const asObject = { [needle]: 'value' }
  const objectWorks = calling(asObject, content('')).includes(needle)
  const textWorks = calling(JSON.stringify(asObject), content('')).includes(`"${needle}"`)
  const argumentsAsObject = objectWorks && !textWorks
  const some = argumentsAsObject ? { a: 1 } : '{"a": 1}'
  const callHistory = (objectWorks || textWorks) && calling(some, content(''), needle).includes(needle)

  const developerRole =
    /['"]developer['"]/.test(template.source) &&
    probe.shows([needle], [{ role: 'developer', content: content(needle) }, user])
  const tool = {
    type: 'function',
    function: { name: needle, description: 'd', parameters: { type: 'object', properties: {} } },
  }
  const answered = probe.render([user, { role: 'assistant', content: content(needle) }])
  return {
    developerRole,
    noTools: noTools as null | readonly [],
    tools: probe.render([user], { tools: [tool] }).includes(needle),
    callHistory,
    argumentsAsObject,
    anyArgumentsText: calling(`{"a": "${needle}`, content('')).includes(needle),
    nullContent: calling(argumentsAsObject ? asObject : JSON.stringify(asObject), null).includes(needle),
    typedContent,
    turnEnd: closingMark(answered.slice(answered.lastIndexOf(needle) + needle.length)),
    turns: probeTurns(probe, content, callHistory ? some : undefined, developerRole),
  }
}

/** The first `<…>` or `[…]` in what follows an assistant's words: `<|im_end|>` of `<|im_end|>\n`. */
function closingMark(text: string): string {
  return /^\s*(<[^\s<>]{1,40}>|\[[^\s[\]]{1,40}\])/.exec(text)?.[1] ?? ''
}
