import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { TokenmillError } from '../core/index.ts'
import entries from './catalog/shapes.json' with { type: 'json' }
import { readGgufHeader } from './gguf-reader.ts'
import { nearestNames } from './nearest-names.ts'
import { parseConfigText, shapeFromConfig } from './shape/from-config.ts'
import { shapeFromGguf } from './shape/from-gguf.ts'
import type { Fp4Scope, ModelShape } from './shape/model-shape.ts'

/** A model of the catalog: its names, where its figures come from, and its `config.json`, shortened to the shape. */
export interface CatalogEntry {
  readonly name: string
  /** Hugging Face ids with this shape. */
  readonly ids: readonly string[]
  readonly aliases?: readonly string[]
  readonly source: string
  /** Nobody has compared these figures with the published file yet. */
  readonly unverified?: boolean
  readonly fp4Scope?: Fp4Scope
  readonly expertBits?: number
  readonly config: Readonly<Record<string, unknown>>
}

export const catalog: readonly CatalogEntry[] = entries as readonly CatalogEntry[]

/** A shape and where it comes from. */
export interface ResolvedModel {
  readonly shape: ModelShape
  readonly source: string
  readonly verified: boolean
}

/**
 * Finds a model by catalog name, Hugging Face id, the short name that data files write, or reads it from the path
 * of a `config.json` or a `.gguf`. Throws `model_not_found` with the nearest names, `invalid_request` for a file
 * that does not describe a model.
 */
export function resolveModel(name: string): ResolvedModel {
  const wanted = plain(name)
  const entry = byName().get(wanted) ?? byName().get(plain(name.split('/').at(-1) ?? name)) ?? longestPrefix(wanted)
  if (entry !== undefined) return { shape: shapeOf(entry), source: entry.source, verified: entry.unverified !== true }
  if (/\.(json|gguf)$/i.test(name)) return fromFile(name)
  const inFolder = path.join(name, 'config.json')
  if (existsSync(inFolder)) return fromFile(inFolder)
  const near = nearestNames(
    name,
    catalog.map((one) => one.name),
  )
  throw new TokenmillError(
    'model_not_found',
    `Model '${name}' is not in the catalog. Nearest: ${near.join(', ')}. A path to its config.json or GGUF works too.`,
    { param: 'model', available: near },
  )
}

/** The shape of a catalog entry. */
export function shapeOf(entry: CatalogEntry): ModelShape {
  const { fp4Scope, expertBits } = entry
  return shapeFromConfig(entry.name, entry.config, {
    ...(fp4Scope === undefined ? {} : { fp4Scope }),
    ...(expertBits === undefined ? {} : { expertBits }),
  })
}

function fromFile(file: string): ResolvedModel {
  const name =
    path.basename(file) === 'config.json' ? path.basename(path.dirname(path.resolve(file))) : path.basename(file)
  if (/\.gguf$/i.test(file)) return { shape: shapeFromGguf(name, readGgufHeader(file)), source: file, verified: true }
  let config: unknown
  try {
    config = parseConfigText(readFileSync(file, 'utf8'))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new TokenmillError(
      'invalid_request',
      `Cannot read model config '${file}': ${reason}`,
      { param: 'model' },
      error,
    )
  }
  return { shape: shapeFromConfig(name, config), source: file, verified: true }
}

/** What names say about tuning and number format, not about the shape. */
const packagingWords =
  /[-.](instruct|chat|it|hf|nvfp4|mxfp4|fp4|fp8|bf16|int4|int8|w4a16|w8a16|w4a8|w8a8|awq|gptq|quantized|kv|gguf|fp8-block|block|dynamic|preview|v2)(?=[-.]|$)/g

/** `Meta-Llama-3.1-70B-Instruct` and `llama-3.1-70b` are one name: case, separators and packaging words do not count. */
function plain(name: string): string {
  return name
    .toLowerCase()
    .replace(/\s+/g, '-')
    .replace(packagingWords, '')
    .replace(/^([a-z0-9-]+\/)?meta-/, '$1')
    .replace(/[-_.]/g, '')
}

let names: Map<string, CatalogEntry> | undefined

function byName(): ReadonlyMap<string, CatalogEntry> {
  if (names !== undefined) return names
  names = new Map()
  for (const entry of catalog) {
    const own = [
      entry.name,
      ...(entry.aliases ?? []),
      ...entry.ids,
      ...entry.ids.map((id) => id.split('/').at(-1) ?? id),
    ]
    // A later entry never takes a name from an earlier one: `Qwen3-30B-A3B` stays what it was first.
    for (const one of own) if (!names.has(plain(one))) names.set(plain(one), entry)
  }
  return names
}

/** `deepseek-r1-0528-xyz`: the longest known name that the asked one begins with, set off by a date or a tag. */
function longestPrefix(wanted: string): CatalogEntry | undefined {
  const last = wanted.split('/').at(-1) ?? wanted
  let best: { readonly name: string; readonly entry: CatalogEntry } | undefined
  for (const [name, entry] of byName()) {
    if (name.includes('/') || name.length < 6 || !last.startsWith(name)) continue
    if (!/^(\d{4}|preview|base|thinking|reasoning)$/.test(last.slice(name.length))) continue
    if (best === undefined || name.length > best.name.length) best = { name, entry }
  }
  return best?.entry
}
