import { choice, never, nothing, optional, repeat, sequence, text, type Expression } from './expression.ts'
import { braced } from './json-text.ts'
import { readBound, type ValueWriter } from './schema-writer.ts'
import { requireSchema, unenforceable, type SchemaObject } from './schema-keywords.ts'

export function writeArray(compiler: ValueWriter, schema: SchemaObject, path: string, depth: number): Expression {
  const { grammar, notation, enforcement } = compiler
  const min = readBound(schema, 'minItems', path) ?? 0
  const max = readBound(schema, 'maxItems', path)
  if (max !== undefined && max < min) return never
  if (schema['uniqueItems'] === true && (max === undefined || max > 1)) enforcement.lacks(path, 'uniqueItems')
  const first = firstItems(compiler, schema, path, depth)
  const itemSchema = requireSchema(restOf(schema), `${path}.items`)
  const item = grammar.rule('item', compiler.value(itemSchema, `${path}.items`, depth + 1))
  const space = notation.space(grammar)
  const comma = notation.comma(grammar)

  /** What may follow `count` items: an end, or a further item. */
  const after = (count: number): Expression => {
    if (max !== undefined && count >= max) return nothing
    const next = count < first.length ? (first[count] ?? never) : item
    const lead = count === 0 ? nothing : comma
    if (count < first.length) {
      const more = next === never ? never : sequence(lead, next, grammar.rule('items', after(count + 1)))
      return choice(more, count >= min ? nothing : never)
    }
    if (next === never || itemSchema === false) return count >= min ? nothing : never
    const following = repeat(
      sequence(comma, next),
      Math.max(0, min - count - 1),
      max === undefined ? undefined : max - count - 1,
    )
    if (count > 0) {
      return repeat(sequence(comma, next), Math.max(0, min - count), max === undefined ? undefined : max - count)
    }
    return min > count ? sequence(next, following) : optional(sequence(next, following))
  }
  const content = after(0)
  if (content === never) return never
  return content === nothing ? sequence(text('['), space, text(']')) : braced('[', ']', content, space)
}

/** Schemas of the first items, by place: `prefixItems`, or a list in `items` as older drafts write it. */
function firstItems(compiler: ValueWriter, schema: SchemaObject, path: string, depth: number): readonly Expression[] {
  const keyword = Array.isArray(schema['items']) ? 'items' : 'prefixItems'
  const list = schema[keyword] ?? []
  if (!Array.isArray(list)) throw unenforceable(`${path}.${keyword}`, `'${keyword}' that is no list`)
  return list.map((item: unknown, at) => {
    const itemPath = `${path}.${keyword}[${at}]`
    return compiler.value(requireSchema(item, itemPath), itemPath, depth + 1)
  })
}

function restOf(schema: SchemaObject): unknown {
  const { items } = schema
  return items === undefined || Array.isArray(items) ? true : items
}
