import { z } from 'zod'
import { defineOptions } from '../core/index.ts'

const tokens = z.coerce.number().int().min(1)
const share = z.coerce.number().min(0).max(1)

/** Limits and assumptions of the planner; the command line derives its flags from them. */
export const plannerOptions = defineOptions({
  priceTier: {
    schema: z.enum(['hyperscaler', 'neocloud', 'rental']),
    default: 'neocloud',
    value: '<tier>',
    choices: ['hyperscaler', 'neocloud', 'rental'],
    help: 'Whose GPU prices to use; where a tier has none, the nearest that has',
    reason: 'the middle of the three tiers that InferenceX publishes',
  },
  utilisation: {
    schema: z.coerce.number().gt(0).max(1),
    default: 0.8,
    value: '<share>',
    help: 'Share of its capacity that a fleet is planned to run at',
    reason: 'arrivals are uneven: at full load queues grow without bound',
  },
  prefixHit: {
    schema: share,
    default: 0,
    value: '<share>',
    help: 'Share of the prompt found in the prefix cache',
    reason: 'depends on the traffic: nobody can know it for you',
  },
  tokensPerStep: {
    schema: z.coerce.number().min(1).max(16),
    default: 1,
    value: '<n>',
    help: 'Tokens that one step yields per sequence: the yield of speculative decoding, an input and not a guess',
    reason: 'acceptance depends on model, draft and text',
  },
  risk: {
    schema: z.enum(['median', 'safe']),
    default: 'median',
    value: '<end>',
    choices: ['median', 'safe'],
    help: 'What must meet the objectives: the likeliest value, or the unfavourable end of its 80 % interval',
    reason: 'the likeliest value; what it risks is said in words',
  },
  usdPerKwh: {
    schema: z.coerce.number().min(0),
    default: 0.08,
    value: '<usd>',
    help: 'Price of electricity',
    unit: 'USD/kWh',
    reason: 'an industrial tariff; shown beside the rent, which includes it',
  },
  pue: {
    schema: z.coerce.number().min(1).max(3),
    default: 1.2,
    value: '<factor>',
    help: 'Facility watts per IT watt',
    reason: 'a good modern data centre',
  },
  maxGpusPerReplica: {
    schema: z.coerce.number().int().min(1).max(72),
    default: 8,
    value: '<n>',
    help: 'Largest replica to consider',
    unit: 'GPUs',
    reason: 'one server; larger ones leave what was measured',
  },
  maxPredictRows: {
    schema: tokens,
    default: 1_000_000,
    value: '<n>',
    help: 'Most rows of one table',
    unit: 'rows',
    reason: 'a table is held in memory: about 1 kB a row',
  },
})
