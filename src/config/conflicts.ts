import { z } from 'zod'
import type { Path } from './document.ts'

export interface Conflict {
  readonly path: Path
  readonly message: string
}

const words = z.record(z.string(), z.unknown()).catch({})

/** As much of a file as conflicts are about; whatever has another shape is left to the schema. */
const outline = z
  .object({
    models: z
      .array(
        z
          .object({
            name: z.string().optional().catch(undefined),
            endpoints: z.array(words).catch([]),
            fallbacks: z.array(z.string().optional().catch(undefined)).catch([]),
            adapters: words,
          })
          .catch({ name: undefined, endpoints: [], fallbacks: [], adapters: {} }),
      )
      .catch([]),
    apiKeys: z.array(z.object({ name: z.string().optional().catch(undefined) }).catch({ name: undefined })).catch([]),
  })
  .catch({ models: [], apiKeys: [] })

/**
 * What only the whole file shows: names and endpoints that stand twice, fallbacks that do not exist, adapters without an embedded
 * engine. Takes any value, so that these are told together with whatever else is wrong.
 */
export function findConflicts(value: unknown): readonly Conflict[] {
  const { models, apiKeys } = outline.parse(value)
  const found: Conflict[] = []
  const seen = new Set<string>()
  models.forEach(({ name, adapters, endpoints }, at) => {
    const own = Object.keys(adapters)
    const take = (each: string, ...place: Path): void => {
      if (seen.has(each)) found.push({ path: ['models', at, ...place], message: `'${each}' names two models` })
      seen.add(each)
    }
    if (name !== undefined) take(name, 'name')
    for (const adapter of own) take(adapter, 'adapters', adapter)
    if (own.length > 0 && endpoints.some((endpoint) => endpoint['engine'] !== 'embedded')) {
      const message = 'have a meaning for embedded engines alone; load them where the endpoint runs'
      found.push({ path: ['models', at, 'adapters'], message })
    }
  })
  models.forEach(({ name, fallbacks, endpoints }, at) => {
    const places = new Map<string, number>()
    endpoints.forEach((endpoint, index) => {
      const same = identityOf(endpoint)
      const first = same === undefined ? undefined : places.get(same)
      if (first !== undefined) {
        const message = `is the same as endpoints[${first}]; for a greater share set its weight`
        found.push({ path: ['models', at, 'endpoints', index], message })
      } else if (same !== undefined) places.set(same, index)
    })
    fallbacks.forEach((fallback, index) => {
      const path = ['models', at, 'fallbacks', index]
      if (fallback === undefined) return
      if (fallback === name) found.push({ path, message: 'is the model itself' })
      else if (!seen.has(fallback)) found.push({ path, message: `'${fallback}' is no model of this file` })
    })
  })
  const names = new Set<string>()
  apiKeys.forEach(({ name }, at) => {
    if (name === undefined) return
    if (names.has(name)) found.push({ path: ['apiKeys', at, 'name'], message: `'${name}' names two keys` })
    names.add(name)
  })
  return found
}

/** Equal for endpoints that are one replica to the fleet. Other keys or models at one address are others. */
function identityOf(endpoint: Readonly<Record<string, unknown>>): string | undefined {
  const { url } = endpoint
  if (typeof url !== 'string') return undefined
  const told = Object.entries({ ...endpoint, url: url.replace(/\/+$/, '').replace(/\/v1$/, '') })
  const settings = told.filter(([key]) => key !== 'weight' && key !== 'labels' && key !== 'price')
  return JSON.stringify(settings.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
