import type { Engine, RelayOperation } from '../inference/index.ts'
import type { WorkItem } from './work-item.ts'

/** Can the engine do this: as bytes, or by its own method? */
export function supports(engine: Engine, operation: RelayOperation): boolean {
  if (engine.relays !== undefined) return engine.relays(operation)
  switch (operation) {
    case 'chat':
    case 'completion':
      return true
    case 'embedding':
      return engine.embed !== undefined
    case 'rerank':
      return engine.rerank !== undefined
    case 'tokenize':
      return engine.tokenize !== undefined
    case 'detokenize':
      return engine.detokenize !== undefined
  }
}

/** Can the engine honour all that the request asks for? */
export function canServe(engine: Engine, item: WorkItem): boolean {
  return supports(engine, item.operation) && item.needs.every((need) => engine.extensions?.has(need) === true)
}

/** The name under which an engine knows a model: the same where it lists that, else its first. */
export function engineModelName(engine: Engine, name: string): string {
  const models = engine.models()
  for (const model of models) if (model.name === name) return name
  return models[0]?.name ?? name
}
