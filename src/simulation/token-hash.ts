import { deriveSeed } from '../workload/index.ts'

/**
 * Identity of a prefix by its tokens: 53 bits, so that a million blocks collide with a probability of 10⁻⁴. For simulation, where
 * nobody tries to make them collide.
 */
export type BlockHash = number

/** The hash of the tokens `from ≤ i < to` behind a prefix that has the hash `chain`. */
export function hashTokens(tokenAt: (index: number) => number, from: number, to: number, chain: BlockHash): BlockHash {
  // Two lanes of FNV-1a's multiply and xor over 32-bit words, seeded by the prefix.
  let low = (chain >>> 0) ^ 0x811c9dc5
  let high = Math.floor(chain / 2 ** 32) ^ 0x9747b28c
  for (let index = from; index < to; index += 1) {
    const token = tokenAt(index)
    low = Math.imul(low ^ token, 0x01000193)
    low ^= low >>> 15
    high = Math.imul(high ^ token, 0x85ebca6b)
    high ^= high >>> 13
  }
  return (high & 0x1fffff) * 2 ** 32 + (low >>> 0)
}

/** A 32-bit number for a text: seeds of requests by their id, token ids of words. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return deriveSeed(hash, text.length)
}
