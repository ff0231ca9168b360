import { limitError, TokenmillError } from '../core/index.ts'
import {
  parseTemplate,
  plain,
  toText,
  toValue,
  type Callable,
  type ParsedTemplate,
  type Text,
  type Value,
} from './jinja/index.ts'
import { modelOptions } from './options.ts'

/** A chat template in Jinja, compiled once, rendered for each request. */
export interface ChatTemplate {
  readonly source: string
  /**
   * `input` comes from the client, and is marked as such in the text; `own` comes from the model and from us, and wins.
   * Throws `invalid_request` when the template refuses the conversation, or cannot make sense of it.
   */
  render(input: Readonly<Record<string, unknown>>, own: Readonly<Record<string, unknown>>): Text
}

/** Compiles; throws `unsupported` for a template that is no valid Jinja, `limit_exceeded` for one beyond the limit. */
export function compileChatTemplate(source: string): ChatTemplate {
  const maximum = modelOptions.maxTemplateBytes.default
  const length = Buffer.byteLength(source)
  if (length > maximum) {
    throw limitError(
      { name: 'maxTemplateBytes', maximum, unit: 'bytes' },
      length,
      'The chat template',
      'Give a shorter one with the model.',
    )
  }
  const template = parse(source)
  return {
    source,
    render(input, own) {
      const names = new Map<string, Value>()
      for (const [name, value] of Object.entries(input)) names.set(name, toValue(value, true))
      for (const [name, value] of Object.entries({ ...own, ...builtIn })) names.set(name, toValue(value, false))
      try {
        return template.run(names)
      } catch (error) {
        if (error instanceof TokenmillError) throw error
        const reason = error instanceof Error ? error.message : String(error)
        throw new TokenmillError(
          'invalid_request',
          `The chat template of this model cannot render these messages: ${reason}`,
          { param: 'messages' },
          error,
        )
      }
    },
  }
}

function parse(source: string): ParsedTemplate {
  try {
    return parseTemplate(source)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new TokenmillError('unsupported', `The chat template of this model is no valid Jinja: ${reason}`, {}, error)
  }
}

const refuse: Callable = ({ positional: [message] }) => {
  throw new TokenmillError('invalid_request', `The chat template of this model refuses: ${asText(message)}`, {
    param: 'messages',
  })
}

/** Python's range(), which templates use to count, up to `maxTemplateRange` numbers. */
const boundedRange: Callable = ({ positional }) => {
  const [first = 0, end, step = 1] = positional.map(Number)
  const [from, to] = end === undefined ? [0, first] : [first, end]
  const count = Math.max(0, Math.ceil((to - from) / step))
  const maximum = modelOptions.maxTemplateRange.default
  if (!(count <= maximum)) {
    throw limitError(
      { name: 'maxTemplateRange', maximum, unit: 'numbers' },
      count,
      'range() in the chat template',
      'Give another template.',
    )
  }
  return Array.from({ length: count }, (_, at) => from + at * step)
}

/** What transformers define for chat templates. */
const builtIn = { range: boundedRange, raise_exception: refuse }

function asText(value: Value | undefined): string {
  return value === undefined ? '' : plain(toText(value))
}
