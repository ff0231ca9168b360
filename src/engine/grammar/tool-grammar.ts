import { TokenmillError } from '../../core/index.ts'
import type { ChatInput, ToolDefinition } from '../../inference/index.ts'
import type { CallSyntax } from '../../model/index.ts'
import { choice, never, nothing, repeat, sequence, text, type Expression } from './expression.ts'
import type { GrammarBuilder } from './grammar-builder.ts'
import { writeArguments } from './tool-arguments.ts'

/** The tools that the request lets the model call. Throws `invalid_request` for a choice of a tool that is not there. */
export function callableTools(chat: ChatInput): readonly ToolDefinition[] {
  const { toolChoice, tools } = chat
  if (toolChoice.kind === 'none') return []
  const callable = toolChoice.kind === 'named' ? tools.filter((tool) => tool.name === toolChoice.name) : tools
  if (callable.length > 0 || toolChoice.kind === 'auto') return callable
  const wanted = toolChoice.kind === 'named' ? `the tool '${toolChoice.name}'` : 'a tool'
  throw new TokenmillError('invalid_request', `tool_choice demands ${wanted}, and no such tool is in 'tools'.`, {
    param: 'tool_choice',
    available: tools.map((tool) => tool.name),
  })
}

/** The text of calls, and what of the tools' schemas it does not hold. */
export interface CallGrammar {
  readonly expression: Expression
  /** Tool and keyword: `search uniqueItems`. */
  readonly unenforced: readonly string[]
}

/**
 * The text of one call or several, as the model's family writes it. With `behind`, the part that follows this text,
 * which the model has already written: every call's text must begin with it. `loose`: of tools that are not strict,
 * any arguments will do.
 */
export function writeCalls(
  grammar: GrammarBuilder,
  syntax: CallSyntax,
  tools: readonly ToolDefinition[],
  parallel: boolean,
  behind: string,
  loose: boolean,
): CallGrammar {
  const unenforced = new Set<string>()
  const written = tools.map((tool, at) => {
    const path = `tools[${at}].function.parameters`
    const { expression, left } = writeArguments(grammar, syntax.arguments, tool, path, loose)
    for (const keyword of left) unenforced.add(`${tool.name} ${keyword}`)
    return { name: tool.name, arguments: grammar.rule(`arguments-${tool.name}`, expression) }
  })
  const oneOf = (skipped: string): Expression =>
    choice(
      ...written.map(({ name, arguments: parameters }) => {
        const before = syntax.before(name)
        if (!before.startsWith(skipped)) return never
        return sequence(text(before.slice(skipped.length)), parameters, text(syntax.after))
      }),
    )
  const first = oneOf(behind.slice(syntax.open.length))
  const more =
    parallel && syntax.between !== undefined
      ? repeat(sequence(text(syntax.between), grammar.rule('call', oneOf(''))), 0, undefined)
      : nothing
  const expression = sequence(
    text(syntax.open.slice(behind.length)),
    grammar.rule('first-call', first),
    more,
    text(syntax.close),
  )
  return { expression, unenforced: [...unenforced] }
}
