import { isDeepStrictEqual } from 'node:util'
import type { Check, Json } from '../corpus/sample.ts'

/** What came back: the words, and the tool calls with their arguments parsed (undefined where they were no JSON). */
export interface Reply {
  readonly text: string
  readonly calls: readonly { readonly name: string; readonly arguments: Json | undefined }[]
}

/** Whether a reply is right. Words around a number or a fact are free; JSON and calls must be complete and equal. */
export function isRight(check: Check, reply: Reply): boolean {
  const text = reply.text.trim()
  switch (check.kind) {
    case 'number':
      return finalNumber(text) === check.value
    case 'numbers':
      return isDeepStrictEqual(text.match(/-?\d+/g)?.map(Number), [...check.values])
    case 'exact':
      return text === check.text
    case 'contains':
      return containsWords(text, check.text)
    case 'facts':
      return check.facts.every((fact) => text.toLowerCase().includes(fact.toLowerCase()))
    case 'json':
      return isDeepStrictEqual(parseJson(text), check.value)
    case 'calls':
      return isDeepStrictEqual(
        reply.calls.map(({ name, arguments: given }) => [name, given]),
        check.calls.map(({ name, arguments: wanted }) => [name, wanted]),
      )
  }
}

/**
 * What a reply says, for voting: replies with the same conclusion are one candidate. The last number where a number
 * is asked for, else the text.
 */
export function conclusionOf(check: Check, reply: Reply): string {
  if (check.kind === 'number') return String(finalNumber(reply.text))
  return reply.calls.length > 0 ? JSON.stringify(reply.calls) : reply.text.trim()
}

/** The last number of the text, with its sign; undefined where there is none. */
export function finalNumber(text: string): number | undefined {
  const last = text.match(/(?<![\w)])-?\d+(?:\.\d+)?|\d+/g)?.at(-1)
  return last === undefined ? undefined : Number(last)
}

/** Contains it as whole words: `25` is not in `125`. */
function containsWords(text: string, wanted: string): boolean {
  const at = text.indexOf(wanted)
  if (at < 0) return false
  const [before, after] = [text.charAt(at - 1), text.charAt(at + wanted.length)]
  return !/\w/.test(before) && !/\w/.test(after)
}

export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}
