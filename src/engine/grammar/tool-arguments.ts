import { TokenmillError } from '../../core/index.ts'
import type { JsonSchema, ToolDefinition } from '../../inference/index.ts'
import type { ArgumentSyntax } from '../../model/index.ts'
import { writeElements } from './argument-elements.ts'
import { writeTags } from './argument-tags.ts'
import { Enforcement } from './enforcement.ts'
import { choice, never, sequence, text, type Expression } from './expression.ts'
import type { GrammarBuilder } from './grammar-builder.ts'
import { jsonSpace } from './json-text.ts'
import { gemmaNotation, jsonNotation, keywordNotation } from './notation.ts'
import { SchemaCompiler } from './schema-compiler.ts'
import type { SchemaObject } from './schema-keywords.ts'
import { writeObject } from './schema-object.ts'

/** A tool's arguments, and the keywords of its schema that the grammar does not hold. */
export interface ToolArguments {
  readonly expression: Expression
  readonly left: readonly string[]
}

/** The schema as a whole, among the keywords that are left out. */
const wholeSchema = 'schema'

/**
 * The arguments of a call as the family writes them. What cannot be held of a strict tool's schema is refused with the
 * tool's name; of another's it is left out, and at worst any arguments will do. `loose`: they do from the start.
 */
export function writeArguments(
  grammar: GrammarBuilder,
  syntax: ArgumentSyntax,
  tool: ToolDefinition,
  path: string,
  loose: boolean,
): ToolArguments {
  const anything = (): ToolArguments => ({
    expression: writeAs(grammar, syntax, openSchema, path, new Enforcement(false)),
    left: [wholeSchema],
  })
  if (tool.parameters === undefined) return { expression: nothingIn(grammar, syntax), left: [] }
  if (loose && !tool.strict) return anything()
  const enforcement = new Enforcement(tool.strict)
  try {
    const expression = writeAs(grammar, syntax, objectSchema(tool.parameters), path, enforcement)
    if (expression !== never || tool.strict) return { expression, left: enforcement.left }
    return anything()
  } catch (error) {
    if (!(error instanceof TokenmillError) || error.code === 'internal') throw error
    if (!tool.strict) return anything()
    throw new TokenmillError(error.code, `Tool '${tool.name}', which is strict: ${error.message}`, {
      ...error.details,
      param: error.details['param'] ?? path,
    })
  }
}

const openSchema: SchemaObject = { type: 'object' }

/** Arguments are an object, whatever else the schema allows. */
function objectSchema(schema: JsonSchema): SchemaObject {
  return typeof schema === 'boolean' ? openSchema : { ...schema, type: 'object' }
}

function nothingIn(grammar: GrammarBuilder, { kind }: ArgumentSyntax): Expression {
  if (kind === 'json') return sequence(text('{'), jsonSpace(grammar), text('}'))
  return text(kind === 'gemma' ? '{}' : '')
}

function writeAs(
  grammar: GrammarBuilder,
  syntax: ArgumentSyntax,
  schema: SchemaObject,
  path: string,
  enforcement: Enforcement,
): Expression {
  const root = { schema, path }
  const notation = syntax.kind === 'gemma' ? gemmaNotation : jsonNotation
  const compiler = new SchemaCompiler(grammar, root, enforcement, notation)
  const each = (write: (one: SchemaObject) => Expression): Expression =>
    compiler.complete(choice(...compiler.alternatives(schema, path).map(write)), path)
  switch (syntax.kind) {
    case 'tags':
      return each((one) => writeTags(compiler, syntax.tags, one, path))
    case 'elements':
      return each((one) => writeElements(compiler, one, path))
    case 'keywords': {
      const value = compiler.value.bind(compiler)
      const writer = { grammar, enforcement, notation: keywordNotation, value }
      return each((one) => writeObject(writer, one, path, 0, ['', '']))
    }
    default:
      return compiler.compile(root)
  }
}
