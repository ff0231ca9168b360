import { wrongType } from '../fields.ts'

/** Token ids: integers that fit libllama's int32. Whether the vocabulary has them, the engine knows. */
export function readTokens(entries: readonly unknown[], path: string): readonly number[] {
  for (let index = 0; index < entries.length; index += 1) {
    const entry = entries[index]
    if (typeof entry !== 'number' || !Number.isInteger(entry) || entry < 0 || entry >= 2 ** 31) {
      throw wrongType(`${path}[${index}]`, entry, 'a token id')
    }
  }
  return entries as readonly number[]
}
