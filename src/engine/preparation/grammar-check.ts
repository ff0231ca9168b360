import { limitError } from '../../core/index.ts'

/** Parsing is recursive in libllama: what nests deeper than this overflows its stack. */
const deepestNesting = 64
/** Above this, libllama silently repeats without end. */
const mostRepetitions = 2000

/** Throws `limit_exceeded` for a client's own grammar that libllama could not read. */
export function checkGrammar(gbnf: string, maxGrammarBytes: number): void {
  const bytes = Buffer.byteLength(gbnf)
  if (bytes > maxGrammarBytes) {
    const limit = { name: 'maxGrammarBytes', maximum: maxGrammarBytes, unit: 'bytes' }
    throw limitError(limit, bytes, 'The grammar', 'Simplify it.')
  }
  let depth = 0
  let deepest = 0
  // Brackets within quoted text and character classes do not nest.
  for (const [symbol, bound] of gbnf.matchAll(
    /"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|#[^\n]*|[()]|\{\s*\d*\s*,?\s*(\d+)\s*\}/g,
  )) {
    if (Number(bound ?? 0) > mostRepetitions) {
      const limit = { name: 'grammar repetitions', maximum: mostRepetitions, unit: 'repetitions' }
      throw limitError(limit, Number(bound), `The bound ${symbol} of the grammar`, 'Lower it, or leave it out.')
    }
    if (symbol === '(') deepest = Math.max(deepest, (depth += 1))
    else if (symbol === ')') depth -= 1
  }
  if (deepest <= deepestNesting) return
  const limit = { name: 'grammar nesting', maximum: deepestNesting, unit: 'levels' }
  throw limitError(limit, deepest, 'The grammar', 'Name its inner parts as rules of their own.')
}
