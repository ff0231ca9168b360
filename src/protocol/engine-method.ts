import { TokenmillError } from '../core/index.ts'
import type { Engine } from '../inference/index.ts'
import type { CallTarget } from './protocol.ts'

/** The engine's method, bound. Throws `unsupported` where the engine lacks it. */
export function engineMethod<Name extends 'embed' | 'rerank' | 'tokenize' | 'detokenize'>(
  { engine, model }: CallTarget,
  name: Name,
): NonNullable<Engine[Name]> {
  const method = engine[name]
  if (method === undefined) {
    throw new TokenmillError('unsupported', `The model '${model}' cannot ${name}. Choose a model that can.`, {
      param: 'model',
    })
  }
  return method.bind(engine) as NonNullable<Engine[Name]>
}
