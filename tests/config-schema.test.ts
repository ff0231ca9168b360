import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { configJsonSchema } from '../src/config/index.ts'

describe('schemas/tokenmill.schema.json', () => {
  it('is what the code checks: `npm run tokenmill -- config schema > schemas/tokenmill.schema.json` makes it', () => {
    const published: unknown = JSON.parse(
      readFileSync(new URL('../schemas/tokenmill.schema.json', import.meta.url), 'utf8'),
    )
    expect(published).toEqual(JSON.parse(JSON.stringify(configJsonSchema())))
  })
})
