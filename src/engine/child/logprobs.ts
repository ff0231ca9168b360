import type { TokenLogprob } from '../../inference/index.ts'
import type { RowLogprobs } from '../messages.ts'

/**
 * Natural log of the softmax over a row of raw logits, for the chosen token and for the `top` most likely ones.
 * log p(t) = x_t − max − ln Σ exp(x_i − max). Terms under e^−40 of the largest cannot change a double-precision sum of
 * a million terms and are not computed.
 */
export function logprobsOfRow(
  logits: Float32Array,
  chosen: number,
  top: number,
  bytesOf: (token: number) => Uint8Array,
): RowLogprobs {
  const best = largest(logits, Math.max(1, top))
  const maximum = logits[best[0] ?? 0] ?? 0
  const floor = maximum - 40
  let sum = 0
  for (let at = 0; at < logits.length; at += 1) {
    const logit = logits[at] as number
    if (logit > floor) sum += Math.exp(logit - maximum)
  }
  const logSum = maximum + Math.log(sum)
  const entry = (id: number): TokenLogprob => ({ id, bytes: bytesOf(id), logprob: (logits[id] ?? -Infinity) - logSum })
  return { token: entry(chosen), top: best.slice(0, top).map(entry) }
}

/** Ids of the `count` largest values, largest first; equal values by id. */
function largest(values: Float32Array, count: number): number[] {
  const ids: number[] = []
  let bound = -Infinity
  for (let id = 0; id < values.length; id += 1) {
    const value = values[id] as number
    if (ids.length === count && value <= bound) continue
    let at = ids.length
    while (at > 0 && (values[ids[at - 1] as number] as number) < value) at -= 1
    ids.splice(at, 0, id)
    if (ids.length > count) ids.pop()
    if (ids.length === count) bound = values[ids[count - 1] as number] as number
  }
  return ids
}
