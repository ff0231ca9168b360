/** The names most like the asked one, by edit distance over letters and digits; a name that contains it comes first. */
export function nearestNames(wanted: string, names: readonly string[], most = 5): readonly string[] {
  const target = letters(wanted)
  return names
    .map((name) => {
      const candidate = letters(name)
      const contains = target.length > 2 && (candidate.includes(target) || target.includes(candidate))
      // A mistyped short form (`h1000`) is near the long name's beginning (`h100_sxm`).
      const beginning = editDistance(target, candidate.slice(0, target.length)) + 0.5
      return { name, distance: Math.min(editDistance(target, candidate), beginning) - (contains ? 100 : 0) }
    })
    .sort((a, b) => a.distance - b.distance || a.name.localeCompare(b.name))
    .slice(0, most)
    .map(({ name }) => name)
}

function letters(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/** Levenshtein distance: insertions, deletions and substitutions, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution))
    }
    row = next
  }
  return row[b.length] ?? 0
}
