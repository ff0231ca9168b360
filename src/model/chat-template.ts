import { Environment, Interpreter, Template } from '@huggingface/jinja'
import { limitError, TokenmillError } from '../core/index.ts'
import { modelOptions } from './options.ts'

/** A chat template in Jinja, compiled once, rendered for each request. */
export interface ChatTemplate {
  readonly source: string
  /** Throws `invalid_request` when the template refuses the conversation, or cannot make sense of it. */
  render(variables: Readonly<Record<string, unknown>>): string
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
    render(variables) {
      try {
        const environment = new Environment()
        const scope = { ...variables, ...constants, range: boundedRange, raise_exception: refuse }
        for (const [name, value] of Object.entries(scope)) environment.set(name, value)
        return String(new Interpreter(environment).run(template.parsed).value)
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

/** The words that Jinja itself defines; the library sets them only inside `Template.render`, with globals of its own. */
const constants = { false: false, true: true, none: null, False: false, True: true, None: null }

function parse(source: string): Template {
  try {
    return new Template(source)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new TokenmillError('unsupported', `The chat template of this model is no valid Jinja: ${reason}`, {}, error)
  }
}

function refuse(message: unknown): never {
  throw new TokenmillError('invalid_request', `The chat template of this model refuses: ${String(message)}`, {
    param: 'messages',
  })
}

/** Python's range(), which templates use to count, up to `maxTemplateRange` numbers. */
function boundedRange(first: number, end?: number, step = 1): number[] {
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
