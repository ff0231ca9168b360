import { parseDurationMs, TokenmillError } from '../../core/index.ts'
import type { RequestMeasures } from './measures.ts'

/** Limits that one request must keep, in ms; a limit that is not there binds nothing. */
export interface Objectives {
  readonly ttftMs?: number
  readonly tpotMs?: number
  /** Longest gap between two chunks. */
  readonly stallMs?: number
  readonly e2eMs?: number
}

const keys: Readonly<Record<string, keyof Objectives>> = {
  ttft: 'ttftMs',
  tpot: 'tpotMs',
  stall: 'stallMs',
  e2e: 'e2eMs',
}

/** Splits `name=value,name=value` into pairs; a comma within a value is no end of it. Throws `invalid_request`. */
export function parsePairs(text: string): [string, string][] {
  return text
    .split(/,(?=\s*[a-z]\w*\s*=)/i)
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const split = part.indexOf('=')
      if (split <= 0) throw new TokenmillError('invalid_request', `'${part}' in '${text}' is not name=value.`)
      return [part.slice(0, split).trim(), part.slice(split + 1).trim()]
    })
}

/** One `ttft=300ms` of a list; undefined where the name is no objective. Throws `invalid_request` for a bad time. */
export function parseObjective(name: string, value: string): Objectives | undefined {
  const key = keys[name]
  if (key === undefined) return undefined
  const ms = parseDurationMs(value)
  if (ms === undefined || ms <= 0)
    throw new TokenmillError('invalid_request', `Objective '${name}=${value}' needs a time above 0, such as 300ms.`)
  return { [key]: ms }
}

/** Reads `ttft=300ms,tpot=30ms,stall=1s,e2e=20s`. Throws `invalid_request`. */
export function parseObjectives(text: string): Objectives {
  const objectives: { -readonly [Key in keyof Objectives]: Objectives[Key] } = {}
  for (const [name, value] of parsePairs(text)) {
    const one = parseObjective(name, value)
    if (one === undefined) {
      const known = Object.keys(keys).join(', ')
      throw new TokenmillError('invalid_request', `Objective '${name}' is unknown; known are ${known}.`)
    }
    Object.assign(objectives, one)
  }
  return objectives
}

/** What made a request miss: a limit of its class, or that it was not answered completely. */
export type MissCause = keyof Objectives | 'failed'

/** The limits that a complete answer missed, each by its own name. */
export function missedObjectives(measures: RequestMeasures, objectives: Objectives): (keyof Objectives)[] {
  const stated = Object.entries(objectives) as [keyof Objectives, number][]
  return stated.filter(([key, ms]) => !meetsObjectives(measures, { [key]: ms })).map(([key]) => key)
}

/**
 * Does a complete answer keep all limits? What could not be measured though the limit asks for it (the pace of an
 * answer of several tokens that came in one piece) is a miss; the pace of a single token is kept by definition.
 */
export function meetsObjectives(measures: RequestMeasures, objectives: Objectives): boolean {
  const { ttftMs, tpotMs, stallMs, e2eMs } = objectives
  if (ttftMs !== undefined && !(measures.ttftMs <= ttftMs)) return false
  if (e2eMs !== undefined && !(measures.e2eMs <= e2eMs)) return false
  const single = measures.outputTokens < 2
  if (tpotMs !== undefined && !single && !((measures.tpotMs ?? Infinity) <= tpotMs)) return false
  return !(stallMs !== undefined && !single && !((measures.stallMs ?? Infinity) <= stallMs))
}

export function hasObjectives(objectives: Objectives): boolean {
  return Object.keys(objectives).length > 0
}
