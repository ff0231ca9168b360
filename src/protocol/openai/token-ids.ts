import { wrongType } from '../fields.ts'

/** Token ids: integers that fit libllama's int32. Whether the vocabulary has them, the engine knows. */
export function readTokens(entries: readonly unknown[], path: string): readonly number[] {
  return entries.map((entry, index) => readToken(entry, `${path}[${index}]`))
}

export function readToken(entry: unknown, path: string): number {
  if (typeof entry === 'number' && Number.isInteger(entry) && entry >= 0 && entry < 2 ** 31) return entry
  throw wrongType(path, entry, 'a token id')
}
