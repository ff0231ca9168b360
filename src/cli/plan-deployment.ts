import { TokenmillError } from '../core/index.ts'
import type { ResolvedModel } from '../model/index.ts'
import type { Deployment } from '../planner/index.ts'

interface DeploymentValues {
  readonly model: string | undefined
  readonly gpu: string
  readonly engine: string
  readonly precision: string | undefined
  readonly tp: number | undefined
  readonly pp: number
  readonly ep: number
  readonly dp: number
  readonly override: readonly string[]
}

/** One deployment from a command's flags; tensor parallelism, unless given, is the least that holds the weights. */
export async function deploymentFromValues(
  values: DeploymentValues,
): Promise<{ readonly deployment: Deployment; readonly model: ResolvedModel }> {
  const [planner, { resolveModel }] = await Promise.all([import('../planner/index.ts'), import('../model/index.ts')])
  if (values.model === undefined) {
    throw new TokenmillError(
      'invalid_request',
      'Name the model with --model: a catalog name, a Hugging Face id or a path.',
      {
        param: 'model',
      },
    )
  }
  const model = resolveModel(values.model)
  const gpu = planner.overrideHardware(planner.resolveHardware(values.gpu), values.override)
  const format = planner.resolveFormat(values.precision ?? model.shape.publishedFormat ?? 'bf16')
  const engine = planner.resolveEngine(values.engine)
  const { pp, ep, dp } = values
  const build = (tp: number) => planner.deploy(model.shape, gpu, engine, format, { tp, pp, ep, dp })
  if (values.tp !== undefined) return { deployment: build(values.tp), model }
  let smallest: Deployment | undefined
  for (const tp of [1, 2, 4, 8, 16]) {
    try {
      smallest = build(tp)
    } catch (error) {
      // These heads do not divide by this size; the next may.
      if (!(error instanceof TokenmillError) || tp === 16) throw error
      continue
    }
    if (planner.assessMemory(planner.factsOf(smallest)).roomBytes > 0) break
  }
  if (smallest === undefined) throw new TokenmillError('invalid_request', 'No tensor-parallel size fits; give --tp.')
  return { deployment: smallest, model }
}

/** What a person must know of a model's file before trusting figures: its own format, and what was not understood. */
export function modelLines({ shape, source }: ResolvedModel): readonly string[] {
  return [
    ...(shape.publishedFormat === undefined
      ? []
      : [`${source} is published in ${shape.publishedFormat}, which is the default precision.`]),
    ...shape.unread.map(
      (field) =>
        `Warning: '${field}' in ${source} seems to describe the model's shape and is not understood; figures may be wrong.`,
    ),
  ]
}
