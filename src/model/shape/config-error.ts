import { TokenmillError } from '../../core/index.ts'
import type { Config } from './config-fields.ts'

/** A field that says something that is not known here: refused by name, never guessed. */
export function unknownValue(config: Config, field: string, value: unknown, known: string): TokenmillError {
  const type = config.model_type ?? '?'
  return new TokenmillError(
    'invalid_request',
    `Config of type '${type}' says '${field}': ${JSON.stringify(value)}, which is not understood. Known: ${known}.`,
    { param: field },
  )
}

/** A list with one entry per layer that has another length. Throws `invalid_request`. */
export function checkPerLayer(config: Config, field: string, entries: number, layers: number): void {
  if (entries >= layers) return
  throw new TokenmillError(
    'invalid_request',
    `Config of type '${config.model_type ?? '?'}' lists ${entries} layers in '${field}' where the model has ${layers}.`,
    { param: field },
  )
}

/** The value of a field that the others call for. Throws `invalid_request` where it is missing. */
export function required(config: Config, ...fields: readonly [string, ...string[]]): number {
  for (const field of fields) {
    const value = config[field]
    if (typeof value === 'number' && value > 0) return value
  }
  throw new TokenmillError(
    'invalid_request',
    `Config of type '${config.model_type ?? '?'}' lacks '${fields[0]}', which its other fields call for.`,
    { param: fields[0] },
  )
}
