import { z } from 'zod'
import type { Path } from './document.ts'
import { fileSchema } from './schema.ts'

/** JSON Schema of the configuration file, for editors. Published as schemas/tokenmill.schema.json. */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' })
  return { ...schema, title: 'Tokenmill configuration', $id: 'tokenmill.schema.json' }
}

/** The names of settings that may stand at a path. */
export function keysAt(path: Path): readonly string[] {
  let schema: JsonSchemaPart | undefined = configJsonSchema()
  for (const step of path) schema = typeof step === 'number' ? schema?.items : schema?.properties?.[step]
  return Object.keys(schema?.properties ?? {})
}

interface JsonSchemaPart {
  readonly properties?: Readonly<Record<string, JsonSchemaPart>>
  readonly items?: JsonSchemaPart
}
