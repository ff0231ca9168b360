import type { RareSamplers } from '../../inference/index.ts'
import { checkLength, wrongType, type Fields } from '../fields.ts'
import type { ProtocolLimits } from '../limits.ts'

/** llama-server's samplers under its names, with its defaults. One that is off is left out: every engine has that. */
export function readRareSamplers(body: Fields, limits: ProtocolLimits): RareSamplers {
  const typicalP = body.number('typical_p', 0, 1) ?? 1
  return {
    ...(typicalP < 1 && { typicalP }),
    ...readRepetitionWindow(body),
    ...readXtc(body),
    ...readDry(body, limits),
    ...readMirostat(body),
  }
}

/** `repeat_penalty` looks at the last 64 tokens unless told otherwise; vLLM's `repetition_penalty` at all. */
function readRepetitionWindow(body: Fields): Pick<RareSamplers, 'repetitionWindow'> {
  const window = body.integer('repeat_last_n', -1, 2 ** 31 - 1) ?? 64
  const penalty = body.number('repeat_penalty', 0.01, 100) ?? 1
  if (penalty === 1 || window < 0 || body.has('repetition_penalty')) return {}
  return { repetitionWindow: window }
}

function readXtc(body: Fields): Pick<RareSamplers, 'xtc'> {
  const probability = body.number('xtc_probability', 0, 1) ?? 0
  const threshold = body.number('xtc_threshold', 0, 1) ?? 0.1
  // Above a half there are never two top choices.
  return probability === 0 || threshold > 0.5 ? {} : { xtc: { probability, threshold } }
}

function readDry(body: Fields, limits: ProtocolLimits): Pick<RareSamplers, 'dry'> {
  const multiplier = body.number('dry_multiplier', 0, 100) ?? 0
  const base = body.number('dry_base', 0, 100) ?? 1.75
  const allowedLength = body.integer('dry_allowed_length', 0, 2 ** 31 - 1) ?? 2
  const window = body.integer('dry_penalty_last_n', -1, 2 ** 31 - 1) ?? -1
  const breakers = body.array('dry_sequence_breakers') ?? ['\n', ':', '"', '*']
  checkLength(breakers.length, 'dry_sequence_breakers', { name: 'maxStops', maximum: limits.maxStops, unit: 'texts' })
  if (multiplier === 0 || window === 0 || base < 1) return {}
  return {
    dry: {
      multiplier,
      base,
      allowedLength,
      window: window < 0 ? undefined : window,
      breakers: breakers.map((text, at) => {
        if (typeof text !== 'string') throw wrongType(`dry_sequence_breakers[${at}]`, text, 'a string')
        return text
      }),
    },
  }
}

function readMirostat(body: Fields): Pick<RareSamplers, 'mirostat'> {
  const version = body.integer('mirostat', 0, 2) ?? 0
  const tau = body.number('mirostat_tau', 0, 100) ?? 5
  const eta = body.number('mirostat_eta', 0, 1) ?? 0.1
  return version === 1 || version === 2 ? { mirostat: { version, tau, eta } } : {}
}
