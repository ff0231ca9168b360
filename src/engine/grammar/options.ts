import { z } from 'zod'
import { defineOptions } from '../../core/index.ts'

const count = z.coerce.number().int().positive()

/** Limits of schemas and of the grammars made from them. A schema comes from a client: it may be made to hurt. */
export const grammarOptions = defineOptions({
  maxSchemaDepth: {
    schema: count,
    default: 64,
    value: '<levels>',
    unit: 'levels',
    help: 'Deepest nesting of a JSON Schema',
    reason: 'schemas written by people and generators stay under 15; OpenAI allows 10',
  },
  maxSchemaNodes: {
    schema: count,
    default: 20_000,
    value: '<count>',
    unit: 'schemas',
    help: 'Most subschemas that one JSON Schema is made of, after references and combinations are resolved',
    reason: 'OpenAI allows 5,000 properties; combinations of anyOf multiply',
  },
  maxSchemaChoices: {
    schema: count,
    default: 10_000,
    value: '<count>',
    unit: 'values',
    help: 'Most values of an enum, and most properties of an object',
    reason: 'OpenAI allows 1,000 values; ten times that still compiles in well under a second',
  },
  maxRepetitions: {
    schema: count,
    default: 1_000_000,
    value: '<count>',
    unit: 'repetitions',
    help: 'Largest minLength, maxLength, minItems or maxItems',
    reason: 'no context is longer; larger numbers are mistakes',
  },
  maxAutomatonStates: {
    schema: count,
    default: 5_000,
    value: '<count>',
    unit: 'states',
    help: 'Most states of a pattern, format or number range, together with its length bounds',
    reason: 'hand-written patterns have under 100; a few expressions need exponentially many',
  },
  maxCachedGrammars: {
    schema: count,
    default: 256,
    value: '<count>',
    unit: 'grammars',
    help: 'Compiled grammars that are kept',
    reason: 'applications send the same few schemas again and again',
  },
})
