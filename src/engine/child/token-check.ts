import { TokenmillError } from '../../core/index.ts'

/** Throws `invalid_request` for a number that is no token of the vocabulary: libllama would read beyond its tables. */
export function checkToken(token: number, vocabularySize: number, param: string): void {
  if (Number.isInteger(token) && token >= 0 && token < vocabularySize) return
  const text = `Token ${token} is not in the vocabulary; its ids are 0 to ${vocabularySize - 1}.`
  throw new TokenmillError('invalid_request', text, { param })
}
