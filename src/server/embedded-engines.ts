import path from 'node:path'
import { TokenmillError } from '../core/index.ts'
import { createEmbeddedEngine, type EngineOptionValues } from '../engine/index.ts'
import type { ServedEngine } from './compose.ts'

/**
 * An engine for each model file, with the names it is offered under: its file's name, or those given. With one
 * model all names are its own, the first the main one; with several there is one each. Throws `startup` with
 * everything that is wrong, files included.
 */
export function createEmbeddedEngines(
  paths: readonly string[],
  names: readonly string[],
  options: EngineOptionValues,
): ServedEngine[] {
  const problems: string[] = []
  if (names.length > 0 && paths.length > 1 && names.length !== paths.length) {
    problems.push(
      `${paths.length} models are given and ${names.length} names; with several models --served-model-name is given once for each.`,
    )
  }
  const offered = paths.map((file, index) => namesOf(file, paths.length === 1 ? names : names.slice(index, index + 1)))
  const seen = new Set<string>()
  for (const name of offered.flat()) {
    if (seen.has(name)) problems.push(`Two models are named '${name}'. Tell them apart with --served-model-name.`)
    seen.add(name)
  }
  const engines = paths.flatMap((file, index): ServedEngine[] => {
    const [name = file, ...aliases] = offered[index] ?? []
    try {
      const engine = createEmbeddedEngine({ path: file, name, engines: paths.length }, options)
      const served = [{ name, engineModel: name, alias: false }]
      return [
        { engine, names: [...served, ...aliases.map((alias) => ({ name: alias, engineModel: name, alias: true }))] },
      ]
    } catch (error) {
      if (!(error instanceof TokenmillError)) throw error
      problems.push(error.message)
      return []
    }
  })
  if (problems.length > 0) throw new TokenmillError('startup', problems.join('\n'))
  return engines
}

function namesOf(file: string, given: readonly string[]): readonly string[] {
  return given.length > 0 ? given : [path.basename(file).replace(/\.gguf$/i, '')]
}
