import type { JsonSchema } from '../../inference/index.ts'
import { elementMark } from '../../model/index.ts'
import { bareValue, membersOf, otherKey } from './argument-tags.ts'
import { choice, never, optional, repeat, sequence, text, type Expression } from './expression.ts'
import type { SchemaCompiler } from './schema-compiler.ts'
import { readTypes, requireSchema, type SchemaObject } from './schema-keywords.ts'
import { textWithout } from './text-without.ts'

/** Elements nest no deeper than this: what lies deeper is any text. */
const deepest = 8

/** The arguments as an element each; objects inside them likewise, lists as elements called `item`. */
export function writeElements(compiler: SchemaCompiler, schema: SchemaObject, path: string, depth = 0): Expression {
  const { named, others } = membersOf(compiler, schema, path)
  const elements: Expression[] = []
  for (const [key, value, keyPath, required] of named) {
    const inner = writeValue(compiler, value, keyPath, depth + 1)
    if (inner === never && required) return never
    const written = element(text(key), inner)
    if (inner !== never) elements.push(required ? written : optional(compiler.grammar.rule('argument', written)))
  }
  if (others !== undefined && named.length === 0) {
    // The closing tag repeats the name, which no grammar of this kind can follow: a few names are enough to try.
    const inner = writeValue(compiler, others, `${path}.additionalProperties`, depth + 1)
    const key = otherKey(compiler, [])
    const open = sequence(text(`${elementMark}<`), key, text('>'), inner, text(`${elementMark}</`), key, text('>'))
    if (inner !== never) elements.push(repeat(compiler.grammar.rule('argument', open), 0, undefined))
  }
  return sequence(...elements)
}

function element(key: Expression, inner: Expression): Expression {
  return sequence(text(`${elementMark}<`), key, text('>'), inner, text(`${elementMark}</`), key, text('>'))
}

function writeValue(compiler: SchemaCompiler, schema: JsonSchema, path: string, depth: number): Expression {
  const anything = textWithout(compiler.grammar, elementMark)
  if (depth > deepest) {
    compiler.enforcement.lacks(path, '', 'What nests so deep')
    return anything
  }
  const options = compiler.alternatives(schema, path).map((one) => {
    const types = readTypes(one, path)
    if (types?.length === 1 && types[0] === 'object' && !('enum' in one) && !('const' in one)) {
      return writeElements(compiler, one, path, depth)
    }
    if (types?.length === 1 && types[0] === 'array') {
      for (const keyword of ['minItems', 'maxItems', 'uniqueItems', 'prefixItems']) {
        if (keyword in one) compiler.enforcement.lacks(path, keyword, `'${keyword}' of a list of elements`)
      }
      const item = writeValue(
        compiler,
        requireSchema(one['items'] ?? true, `${path}.items`),
        `${path}.items`,
        depth + 1,
      )
      return item === never ? never : repeat(element(text('item'), item), 0, undefined)
    }
    const { texts, others } = bareValue(compiler, one, path, elementMark)
    return choice(texts, others)
  })
  return choice(...options)
}
