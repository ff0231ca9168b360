import type { ChatTemplate } from './chat-template.ts'

/**
 * What a template expects of its input. Templates differ, and say so nowhere: each trait is found by rendering a
 * tiny conversation and looking where its marked words come out.
 */
export interface TemplateTraits {
  /** Renders `system` messages; without it their text joins the first user message. */
  readonly systemRole: boolean
  /** Knows the role `developer`; without it such messages become `system`. */
  readonly developerRole: boolean
  /** Shows `tools` to the model by itself. */
  readonly tools: boolean
  /** Writes the earlier calls of assistant messages, and their results, by itself. */
  readonly callHistory: boolean
  /** Wants the arguments of earlier calls as an object and serialises them itself; else as JSON text. */
  readonly argumentsAsObject: boolean
  /** Takes `content: null` on assistant messages that only call tools. */
  readonly nullContent: boolean
  /** Wants content as a list of typed parts. */
  readonly typedContent: boolean
  /** Text that the template puts behind an assistant message, up to its first closing mark; '' where it puts none. */
  readonly turnEnd: string
}

const needle = 'xNEEDLEx'

/** Probes the template. Never throws: a template that refuses a probe lacks that trait. */
export function probeTemplate(template: ChatTemplate, variables: Readonly<Record<string, unknown>>): TemplateTraits {
  const attempt = (messages: readonly unknown[], more: Readonly<Record<string, unknown>> = {}): string => {
    try {
      return template.render({ ...variables, add_generation_prompt: false, ...more, messages })
    } catch {
      return ''
    }
  }
  const user = { role: 'user', content: 'hello' }
  const typed = { role: 'user', content: [{ type: 'text', text: needle }] }
  const typedContent =
    !attempt([{ role: 'user', content: needle }]).includes(needle) && attempt([typed]).includes(needle)
  const content = (text: string): unknown => (typedContent ? [{ type: 'text', text }] : text)

  const calling = (args: unknown, text: unknown, result = 'done'): string =>
    attempt([
      { role: 'user', content: content('hello') },
      {
        role: 'assistant',
        content: text,
        tool_calls: [{ id: 'call00001', type: 'function', function: { name: 'probe', arguments: args } }],
      },
      { role: 'tool', content: content(result), tool_call_id: 'call00001', name: 'probe' },
    ])
  const asObject = { [needle]: 'value' }
  const quoted = `"${needle}"`
  const objectWorks = calling(asObject, content('')).includes(needle)
  const textWorks = calling(JSON.stringify(asObject), content('')).includes(quoted)

  const tool = {
    type: 'function',
    function: { name: needle, description: 'd', parameters: { type: 'object', properties: {} } },
  }
  const answered = attempt([
    { role: 'user', content: content('hello') },
    { role: 'assistant', content: content(needle) },
  ])
  return {
    systemRole: attempt([
      { role: 'system', content: content(needle) },
      { ...user, content: content('hello') },
    ]).includes(needle),
    developerRole: /['"]developer['"]/.test(template.source),
    tools: attempt([{ ...user, content: content('hello') }], { tools: [tool] }).includes(needle),
    callHistory:
      (objectWorks || textWorks) && calling(objectWorks ? { a: 1 } : '{"a": 1}', content(''), needle).includes(needle),
    argumentsAsObject: objectWorks && !textWorks,
    nullContent: calling(textWorks ? JSON.stringify(asObject) : asObject, null).includes(needle),
    typedContent,
    turnEnd: closingMark(answered.slice(answered.lastIndexOf(needle) + needle.length)),
  }
}

/** The first `<…>` or `[…]` in what follows an assistant's words: `<|im_end|>` of `<|im_end|>\n`. */
function closingMark(text: string): string {
  return /^\s*(<[^\s<>]{1,40}>|\[[^\s[\]]{1,40}\])/.exec(text)?.[1] ?? ''
}
