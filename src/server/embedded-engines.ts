import path from 'node:path'
import { TokenmillError } from '../core/index.ts'
import { createEmbeddedEngine, type EngineOptionValues, type NamedAdapter } from '../engine/index.ts'
import type { Engine } from '../inference/index.ts'
import { checkLoraAdapter, readGgufMetadata } from '../model/index.ts'

/** An engine and the names under which its models are offered, its main name first; the others are aliases and adapters. */
export interface ServedEngine {
  readonly engine: Engine
  readonly names: readonly string[]
}

/**
 * An engine for each model file, with the names it is offered under: its file's name, or those given. With one
 * model all names are its own, the first the main one; with several there is one each. An adapter goes to the model that
 * it fits. Throws `startup` with everything that is wrong, files included.
 */
export function createEmbeddedEngines(
  paths: readonly string[],
  names: readonly string[],
  options: EngineOptionValues,
  adapters: readonly NamedAdapter[] = [],
): ServedEngine[] {
  const problems: string[] = []
  if (names.length > 0 && paths.length > 1 && names.length !== paths.length) {
    problems.push(
      `${paths.length} models are given and ${names.length} names; with several models --served-model-name is given once for each.`,
    )
  }
  const offered = paths.map((file, index) => namesOf(file, paths.length === 1 ? names : names.slice(index, index + 1)))
  const seen = new Set<string>()
  for (const name of [...offered.flat(), ...adapters.map((adapter) => adapter.name)]) {
    if (seen.has(name)) {
      problems.push(
        `Two models are named '${name}'. Tell them apart with --served-model-name, or name the adapter anew.`,
      )
    }
    seen.add(name)
  }
  const owners = adapters.map((adapter) => ownerOf(adapter, paths, problems))
  const engines = paths.flatMap((file, index): ServedEngine[] => {
    const [name = file, ...aliases] = offered[index] ?? []
    try {
      const own = adapters.filter((_, at) => owners[at] === index)
      const engine = createEmbeddedEngine({ path: file, name, adapters: own, engines: paths.length }, options)
      return [{ engine, names: [name, ...aliases, ...own.map((adapter) => adapter.name)] }]
    } catch (error) {
      if (!(error instanceof TokenmillError)) throw error
      problems.push(error.message)
      return []
    }
  })
  if (problems.length > 0) throw new TokenmillError('startup', problems.join('\n'))
  return engines
}

/** Which model the adapter belongs to; undefined, with the problem told, where that is not plain. */
function ownerOf(adapter: NamedAdapter, paths: readonly string[], problems: string[]): number | undefined {
  // With one model its engine says what does not fit.
  if (paths.length === 1) return 0
  const fitting = [...paths.keys()].filter((at) => {
    try {
      checkLoraAdapter(adapter.path, readGgufMetadata(paths[at] ?? ''))
      return true
    } catch (error) {
      if (error instanceof TokenmillError) return false
      throw error
    }
  })
  if (fitting.length === 1) return fitting[0]
  const which = fitting.length === 0 ? 'none' : fitting.map((at) => paths[at]).join(' and ')
  problems.push(
    `The adapter '${adapter.name}' (${adapter.path}) fits ${which} of the ${paths.length} models. ` +
      'Serve it beside its model alone, or name both in a configuration file.',
  )
  return undefined
}

function namesOf(file: string, given: readonly string[]): readonly string[] {
  return given.length > 0 ? given : [path.basename(file).replace(/\.gguf$/i, '')]
}
