import type { EngineModel, EngineStatus } from '../inference/index.ts'
import type { ModelPool, ModelRoute } from './model-pool.ts'

/** What a route serves, over all its replicas: the context is what every replica can hold. */
export function modelOf({ name, pool }: ModelRoute): EngineModel {
  const known = pool.replicas.flatMap(({ engine }) => {
    const models = engine.models()
    return models.find((model) => model.name === name) ?? models[0] ?? []
  })
  const contexts = known.flatMap(({ contextTokens }) => contextTokens ?? [])
  const [first] = known
  return {
    name,
    parent: first?.parent,
    contextTokens: contexts.length === 0 ? undefined : Math.min(...contexts),
    root: first?.root ?? name,
  }
}

/** The load of a pool, over all its replicas. What only one engine can tell (its prefix cache, its cells) is left out for several. */
export function statusOf({ replicas, limits }: ModelPool): EngineStatus {
  const states = replicas.map(({ engine }) => engine.status())
  const [only] = states
  if (only !== undefined && states.length === 1) return only
  const shares = states.flatMap(({ kvCacheUsage }) => kvCacheUsage ?? [])
  return {
    state: stateOf(states),
    loadProgress: Math.max(0, ...states.map(({ loadProgress }) => loadProgress)),
    running: states.reduce((sum, { running }) => sum + running, 0),
    waiting: states.reduce((sum, { waiting }) => sum + waiting, 0),
    kvCacheUsage: shares.length === 0 ? undefined : shares.reduce((sum, share) => sum + share, 0) / shares.length,
    prefixCache: undefined,
    preemptions: undefined,
    maxRunning: limits.maxInFlight,
  }
}

function stateOf(states: readonly EngineStatus[]): EngineStatus['state'] {
  for (const state of ['ready', 'unloaded', 'restarting', 'loading'] as const) {
    if (states.some((status) => status.state === state)) return state
  }
  return 'unavailable'
}
