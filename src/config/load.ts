import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { z } from 'zod'
import { complaintOf, formatBytes, TokenmillError } from '../core/index.ts'
import { findConflicts } from './conflicts.ts'
import { ConfigDocument, formatPath, type Origin, type Path, type Problem } from './document.ts'
import { keysAt } from './json-schema.ts'
import { nearestOf } from './nearest.ts'
import { fileSchema, secretSchema, type FileConfig, type SecretConfig } from './schema.ts'
import { findSecretProblems } from './secret-checks.ts'

export interface LoadedConfig {
  readonly file: string
  readonly value: FileConfig
  /** Looks up where the value at a path comes from; undefined for a default. */
  readonly originAt: (path: Path) => Origin | undefined
  /** The text of a secret that `value` holds. All of them have been read: this never throws. */
  readonly secret: (reference: SecretConfig) => string
  /** Files other than this one whose change changes the configuration. */
  readonly secretFiles: readonly string[]
}

/** Thousands of endpoints: a longer file is a mistake, and is not parsed. */
const maxFileCharacters = 4 * 1024 * 1024

/**
 * Reads and checks a configuration file. Throws `startup` with every problem at once, each with file, line and
 * column; no value of a secret is in any message.
 */
export function loadConfig(file: string, env: Readonly<Record<string, string | undefined>>): LoadedConfig {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const hint = code === 'ENOENT' ? ' `tokenmill config init` writes one to begin with.' : ''
    throw new TokenmillError('startup', `The configuration file ${file} cannot be read (${code}).${hint}`, {}, error)
  }
  if (text.length > maxFileCharacters) {
    const message = `The configuration file ${file} is ${formatBytes(text.length)}; the limit is ${formatBytes(maxFileCharacters)}.`
    throw new TokenmillError('startup', `${message} Is it another file?`)
  }
  return parseConfig(text, file, env)
}

/** The same from text; `file` is its name in messages and the place that relative paths start from. */
export function parseConfig(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): LoadedConfig {
  const document = new ConfigDocument(text, env)
  const problems = [...document.problems]
  if (document.value === null) {
    const hint = 'is empty; `tokenmill config init` writes a file to begin with'
    throw configError(file, [{ path: [], line: 1, column: 1, message: hint }])
  }
  const parsed = fileSchema.safeParse(document.value ?? {})
  if (!parsed.success && document.value !== undefined) {
    // A variable that is not set leaves nothing to check in its line.
    const unset = new Set(problems.map(({ line }) => line))
    const found = parsed.error.issues.flatMap((issue) => toProblems(issue, document))
    problems.push(...found.filter(({ line }) => !unset.has(line)))
  }
  for (const { path: at, message } of findConflicts(document.value)) problems.push(document.problemAt(at, message))
  const secrets = new SecretReader(path.dirname(file), env)
  for (const { path, reference } of parsed.success ? secretsOf(parsed.data) : secretsIn(document.value, [])) {
    const problem = secrets.read(reference)
    if (problem !== undefined) problems.push(document.problemAt(path, problem))
  }
  if (parsed.success && problems.length === 0) {
    for (const { path, message } of findSecretProblems(parsed.data, (reference) => secrets.text(reference)))
      problems.push(document.problemAt(path, message))
  }
  if (problems.length > 0 || !parsed.success) throw configError(file, problems)
  return {
    file,
    value: deepFreeze(parsed.data),
    originAt: (path) => document.originAt(path),
    secret: (reference) => secrets.text(reference),
    secretFiles: secrets.files,
  }
}

/** Every secret of a configuration, with its path. */
export function secretsOf(config: FileConfig): { readonly path: Path; readonly reference: SecretConfig }[] {
  const found: { path: Path; reference: SecretConfig }[] = []
  const add = (path: Path, reference: SecretConfig | undefined): void => {
    if (reference !== undefined) found.push({ path, reference })
  }
  const { tls } = config.listen
  if (tls !== undefined) for (const key of ['cert', 'key', 'clientCa'] as const) add(['listen', 'tls', key], tls[key])
  config.models.forEach((model, m) => {
    model.endpoints.forEach((endpoint, e) => {
      const at = ['models', m, 'endpoints', e]
      add([...at, 'apiKey'], endpoint.apiKey)
      add([...at, 'chatTemplate'], endpoint.chatTemplate)
      for (const [name, value] of Object.entries(endpoint.headers)) add([...at, 'headers', name], value)
      for (const key of ['ca', 'cert', 'key'] as const) add([...at, 'tls', key], endpoint.tls?.[key])
    })
  })
  return found
}

const secretPlace = /^listen\.tls\.\w+$|\.endpoints\[\d+\]\.(apiKey|chatTemplate|headers\.[\w-]+|tls\.\w+)$/

/** Those of a file that is wrong elsewhere: what cannot be read is told together with the rest. */
function secretsIn(value: unknown, at: Path): { readonly path: Path; readonly reference: SecretConfig }[] {
  if (typeof value !== 'object' || value === null) return []
  if (secretPlace.test(formatPath(at))) {
    const { data } = secretSchema.safeParse(value)
    return data === undefined ? [] : [{ path: at, reference: data }]
  }
  if (Array.isArray(value)) return value.flatMap((each, index) => secretsIn(each, [...at, index]))
  return Object.entries(value).flatMap(([key, each]) => secretsIn(each, [...at, key]))
}

/** Reads each secret once, at load. */
class SecretReader {
  readonly #folder: string
  readonly #env: Readonly<Record<string, string | undefined>>
  readonly #texts = new Map<SecretConfig, string>()
  readonly files: string[] = []

  constructor(folder: string, env: Readonly<Record<string, string | undefined>>) {
    this.#folder = folder
    this.#env = env
  }

  /** What is wrong with it; undefined when it was read. */
  read(reference: SecretConfig): string | undefined {
    if (typeof reference === 'string') return undefined
    if ('env' in reference) {
      const value = this.#env[reference.env]
      if (value === undefined || value === '') return `the environment variable ${reference.env} is not set`
      this.#texts.set(reference, value)
      return undefined
    }
    const file = path.resolve(this.#folder, reference.file)
    this.files.push(file)
    try {
      const text = readFileSync(file, 'utf8').trim()
      if (text === '') return `the file ${file} is empty`
      this.#texts.set(reference, text)
      return undefined
    } catch (error) {
      return `the file ${file} cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'error'})`
    }
  }

  text(reference: SecretConfig): string {
    return typeof reference === 'string' ? reference : (this.#texts.get(reference) ?? '')
  }
}

function toProblems(issue: z.core.$ZodIssue, document: ConfigDocument): Problem[] {
  const at = issue.path.filter((step): step is string | number => typeof step !== 'symbol')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const nearest = nearestOf(key, keysAt(at))
      const hint = nearest === undefined ? 'look for a misspelling' : `did you mean ${nearest}?`
      return document.problemAt([...at, key], `is no setting here; ${hint}`)
    })
  }
  // A union's own message says nothing; that of the branch that fits best says what is wrong.
  if (issue.code === 'invalid_union') {
    const inner = issue.errors.flat().map(complaintOf)
    return [document.problemAt(at, inner.length === 0 ? issue.message : [...new Set(inner)].join(', or: '))]
  }
  const missing = issue.code === 'invalid_type' && document.originAt(at) === undefined
  return [document.problemAt(at, missing ? 'is missing' : complaintOf(issue))]
}

function configError(file: string, problems: readonly Problem[]): TokenmillError {
  const lines = problems
    .toSorted((a, b) => a.line - b.line || a.column - b.column)
    .map(({ path, line, column, message }) => {
      const name = formatPath(path)
      return `${file}:${line}:${column} ${name === '' ? '' : `${name}: `}${message}`
    })
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  return new TokenmillError('startup', `The configuration has ${count}:\n${lines.join('\n')}`)
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}
