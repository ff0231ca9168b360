/** A choice of a chunk or a whole answer, as servers write it; anything may be of any type. */
export interface WireChoice {
  readonly delta?: WireOutput | null
  readonly message?: WireOutput | null
  readonly text?: unknown
  readonly finish_reason?: unknown
}

interface WireOutput {
  readonly content?: unknown
  readonly reasoning_content?: unknown
  readonly reasoning?: unknown
  readonly reasoning_details?: unknown
  readonly refusal?: unknown
  readonly tool_calls?: unknown
  readonly function_call?: unknown
}

/**
 * Everything that the model generated in a choice, whatever its name: answer, thinking, refusal, arguments of tool calls.
 * Servers that give the same text under two names mean it once: the first name that holds text counts.
 */
export function outputText(choice: WireChoice | null | undefined): string {
  if (typeof choice !== 'object' || choice === null) return ''
  const output = choice.delta ?? choice.message
  const text = isRecord(output) ? textOfOutput(output) : ''
  // Some servers send an empty `text` beside the delta, others the delta's text again.
  return text === '' ? asText(choice.text) : text
}

function textOfOutput(output: WireOutput): string {
  const { content, reasoning_content: named, reasoning, reasoning_details: details } = output
  const written = [content, named, reasoning, details, output.refusal].map(asText).find((text) => text !== '')
  if (written !== undefined) return written
  const calls = Array.isArray(output.tool_calls) ? (output.tool_calls as readonly unknown[]) : []
  const functions = calls.map((call) => (isRecord(call) ? call['function'] : undefined))
  return [...functions, output.function_call].map(textOfCall).join('')
}

function textOfCall(call: unknown): string {
  return isRecord(call) ? `${asText(call['name'])}${asText(call['arguments'])}` : ''
}

/** Text, or a list of parts: `{type: 'text', text}`, `{type: 'thinking', thinking: [part]}`, `{summary}`. */
function asText(value: unknown): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map(asText).join('')
  return isRecord(value) ? asText(value['text'] ?? value['thinking'] ?? value['summary']) : ''
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
