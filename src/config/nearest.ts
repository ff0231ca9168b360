/** The word that is spelled most alike, where one is at most two changes away, and fewer than half its letters. */
export function nearestOf(text: string, words: readonly string[]): string | undefined {
  let best: string | undefined
  let bestChanges = 3
  for (const word of words) {
    const changes = changesBetween(text, word)
    if (changes < bestChanges && changes * 2 < word.length) {
      best = word
      bestChanges = changes
    }
  }
  return best
}

/** Letters to insert, remove, replace or swap with their neighbour (optimal string alignment). */
function changesBetween(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Infinity
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    rows.push(row)
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Infinity
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replaced, swapped))
    }
  }
  return at(a.length, b.length)
}
