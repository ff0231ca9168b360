import { z } from 'zod'
import { fileSchema } from './schema.ts'

/** JSON Schema of the configuration file, for editors. Published as schemas/tokenmill.schema.json. */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' })
  return { ...schema, title: 'Tokenmill configuration', $id: 'tokenmill.schema.json' }
}
