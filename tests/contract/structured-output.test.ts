import { describe, expect, it } from 'vitest'
import { createRandom, TokenmillError } from '../../src/core/index.ts'
import { ConstraintCompiler } from '../../src/engine/grammar/index.ts'
import type { JsonSchema } from '../../src/inference/index.ts'
import { readGbnf } from '../support/gbnf.ts'
import { createJudge } from '../support/json-validator.ts'
import { randomSchema } from '../support/random-schema.ts'

function compile(schema: JsonSchema): string {
  const constraint = { kind: 'jsonSchema', name: 'test', schema, strict: true } as const
  const compiled = new ConstraintCompiler(1024 * 1024).compile({ constraint, chat: undefined, answer: undefined })
  if (compiled === undefined) throw new Error('no grammar')
  return compiled.gbnf
}

describe('grammars of JSON Schemas', () => {
  it('give only values that satisfy their schema: 500 random schemas, checked by ajv', () => {
    let compiled = 0
    let impossible = 0
    for (let seed = 1; seed <= 500; seed += 1) {
      const random = createRandom(seed)
      const schema = randomSchema(random)
      let gbnf
      try {
        gbnf = compile(schema)
      } catch (error) {
        // Some schemas that chance writes cannot be satisfied, or not be enforced: then the compiler must say so.
        if (!(error instanceof TokenmillError) || !['invalid_request', 'unsupported'].includes(error.code)) throw error
        impossible += 1
        continue
      }
      compiled += 1
      const grammar = readGbnf(gbnf)
      const faultOf = createJudge(schema)
      for (let count = 0; count < 8; count += 1) {
        const text = grammar.sample(random)
        const value: unknown = JSON.parse(text)
        const fault = faultOf(value)
        if (fault !== undefined) expect.fail(`seed ${seed}: ${text}\n${fault}\n${JSON.stringify(schema)}`)
      }
    }
    expect(compiled).toBeGreaterThan(400)
    expect(compiled + impossible).toBe(500)
  }, 120_000)
})
