/**
 * The 95 % interval of a share by Wilson's score (E. B. Wilson, 1927): holds for small counts and for shares near
 * 0 and 1, where the usual approximation does not.
 */
export function wilsonInterval(right: number, count: number): readonly [low: number, high: number] {
  if (count === 0) return [0, 1]
  const z = 1.96
  const share = right / count
  const centre = share + (z * z) / (2 * count)
  const spread = z * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count))
  const scale = 1 + (z * z) / count
  return [Math.max(0, (centre - spread) / scale), Math.min(1, (centre + spread) / scale)]
}

/** The most frequent value; among equals the one that came first. */
export function majority(values: readonly string[]): string | undefined {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  let best: string | undefined
  for (const [value, count] of counts) if (best === undefined || count > (counts.get(best) ?? 0)) best = value
  return best
}
