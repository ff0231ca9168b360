import { TokenmillError, type Random } from '../core/index.ts'
import { sampleExponential, sampleGamma, sampleNormal } from './sampling.ts'

/** A distribution of non-negative quantities: lengths in tokens, times in milliseconds. */
export interface Distribution {
  /** The text that `parseDistribution` reads back. */
  readonly text: string
  /** Expected value, before truncation at zero. */
  readonly mean: number
  sample(random: Random): number
}

interface Kind {
  readonly parameters: readonly string[]
  create(parameters: readonly number[]): Pick<Distribution, 'mean' | 'sample'>
}

/** The kinds by name. Parameters are in the quantity's unit unless they are named as pure numbers. */
const kinds: Readonly<Record<string, Kind>> = {
  fixed: {
    parameters: ['value'],
    create: ([value = 0]) => ({ mean: value, sample: () => value }),
  },
  uniform: {
    parameters: ['low', 'high'],
    create: ([low = 0, high = 0]) => ({ mean: (low + high) / 2, sample: (random) => low + (high - low) * random() }),
  },
  normal: {
    parameters: ['mean', 'deviation'],
    create: ([mean = 0, deviation = 0]) => ({
      mean,
      sample: (random) => Math.max(0, mean + deviation * sampleNormal(random)),
    }),
  },
  /** `sigma` is the deviation of the logarithm, a pure number; the mean is median·e^(σ²/2). */
  lognormal: {
    parameters: ['median', 'sigma'],
    create: ([median = 0, sigma = 0]) => ({
      mean: median * Math.exp((sigma * sigma) / 2),
      sample: (random) => median * Math.exp(sigma * sampleNormal(random)),
    }),
  },
  exponential: {
    parameters: ['mean'],
    create: ([mean = 0]) => ({ mean, sample: (random) => mean * sampleExponential(random) }),
  },
  /** `cv` is deviation over mean, a pure number: 1 is exponential, below it steadier, above it burstier. */
  gamma: {
    parameters: ['mean', 'cv'],
    create: ([mean = 0, cv = 1]) => {
      if (cv === 0) return { mean, sample: () => mean }
      const shape = 1 / (cv * cv)
      return { mean, sample: (random) => (mean / shape) * sampleGamma(shape, random) }
    },
  },
}

/** Names of the parameters that carry no unit. */
const pureNumbers = new Set(['sigma', 'cv'])

/**
 * Reads `250`, `uniform:100,200`, `normal:100,15`, `lognormal:100,0.5`, `exponential:100`, `gamma:100,0.5` or
 * `choice:128,512,2048` (each equally likely). `parseQuantity` reads one value with its unit (`80ms`); by default
 * bare numbers. Throws `invalid_request`.
 */
export function parseDistribution(
  text: string,
  parseQuantity: (text: string) => number | undefined = parseNumber,
): Distribution {
  const split = text.indexOf(':')
  const name = split < 0 ? 'fixed' : text.slice(0, split).trim()
  const parts = (split < 0 ? text : text.slice(split + 1)).split(',').map((part) => part.trim())
  if (name === 'choice') return createChoice(text, readAll(text, parts, [], parseQuantity))
  const kind = kinds[name]
  if (kind === undefined) {
    const known = [...Object.keys(kinds), 'choice']
    throw new TokenmillError(
      'invalid_request',
      `Distribution '${text}' names '${name}'; known are ${known.join(', ')}.`,
    )
  }
  if (parts.length !== kind.parameters.length) {
    const expected = `${name}:${kind.parameters.join(',')}`
    throw new TokenmillError('invalid_request', `Distribution '${text}' has ${parts.length} values; write ${expected}.`)
  }
  const values = readAll(text, parts, kind.parameters, parseQuantity)
  const [low, high] = values
  if (name === 'uniform' && (low ?? 0) > (high ?? 0))
    throw new TokenmillError('invalid_request', `Distribution '${text}' has low ${low} above high ${high}.`)
  return { text, ...kind.create(values) }
}

function createChoice(text: string, values: readonly number[]): Distribution {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return { text, mean, sample: (random) => values[Math.floor(random() * values.length)] ?? mean }
}

function readAll(
  text: string,
  parts: readonly string[],
  names: readonly string[],
  parseQuantity: (text: string) => number | undefined,
): number[] {
  return parts.map((part, index) => {
    const name = names[index] ?? 'value'
    const value = pureNumbers.has(name) ? parseNumber(part) : parseQuantity(part)
    if (value !== undefined && Number.isFinite(value) && value >= 0) return value
    throw new TokenmillError(
      'invalid_request',
      `Distribution '${text}' has ${name} '${part}'; it must be a number ≥ 0${pureNumbers.has(name) ? ' without unit' : ''}.`,
    )
  })
}

function parseNumber(text: string): number | undefined {
  return /^\d+(\.\d+)?(e\d+)?$/i.test(text) ? Number(text) : undefined
}

/** A whole number of at least `minimum` (and at most `maximum`) near a draw: how lengths in tokens are drawn. */
export function sampleLength(distribution: Distribution, random: Random, minimum = 1, maximum = Infinity): number {
  return Math.min(maximum, Math.max(minimum, Math.round(distribution.sample(random))))
}
