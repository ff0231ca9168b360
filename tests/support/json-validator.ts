import { Ajv2020 } from 'ajv/dist/2020.js'
import formatsPlugin from 'ajv-formats'
import type { JsonSchema } from '../../src/inference/index.ts'

/** An independent judge: why the value does not satisfy the schema; undefined where it does. */
export function createJudge(schema: JsonSchema): (value: unknown) => string | undefined {
  const ajv = new Ajv2020({ strict: false, validateFormats: true })
  // The plugin is CommonJS: what is imported is its function, whatever its types say.
  const addFormats = formatsPlugin as unknown as (ajv: Ajv2020) => void
  addFormats(ajv)
  const validate = ajv.compile(schema as object)
  return (value) => (validate(value) ? undefined : JSON.stringify(validate.errors))
}
