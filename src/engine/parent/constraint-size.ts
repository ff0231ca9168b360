import { limitError } from '../../core/index.ts'

/** Levels of JSON: schemas nest 64 deep, and two levels of JSON make one of them. */
const deepestNesting = 256

/**
 * Throws `limit_exceeded` for schemas and tools of more than `maxBytes`, or nested beyond all use, before anything is
 * made of them. Counts the texts and 8 bytes a value, and looks no further than the limit.
 */
export function checkConstraintSize(value: unknown, maxBytes: number): void {
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value, depth: 0 }]
  let bytes = 0
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value: current, depth } = next
    bytes += 8 + (typeof current === 'string' ? current.length : 0)
    if (depth > deepestNesting) {
      const limit = { name: 'schema nesting', maximum: deepestNesting, unit: 'levels' }
      throw limitError(limit, depth, 'The schema', 'Flatten it.')
    }
    if (current !== null && typeof current === 'object') {
      const keys = Object.keys(current)
      bytes += keys.reduce((sum, key) => sum + key.length, 0)
      // A long list is refused before it is unpacked.
      if (bytes + 8 * keys.length <= maxBytes) {
        for (const inner of Object.values(current)) open.push({ value: inner, depth: depth + 1 })
      } else bytes += 8 * keys.length
    }
    if (bytes > maxBytes) {
      const limit = { name: 'maxConstraintBytes', maximum: maxBytes, unit: 'bytes' }
      throw limitError(limit, bytes, 'What the schema and the tools hold', 'Simplify them.')
    }
  }
}
