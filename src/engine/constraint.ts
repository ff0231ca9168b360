import { limitError, TokenmillError } from '../core/index.ts'
import type { GenerationRequest } from '../inference/index.ts'
import type { GrammarSpec } from './backend.ts'

/**
 * The grammar that a request's output must follow; undefined for none.
 * Throws `unsupported`, or `invalid_request` for a grammar that libllama would not survive.
 */
export function toGrammar(request: GenerationRequest, maxGrammarBytes: number): GrammarSpec | undefined {
  const { constraint } = request
  if (constraint === undefined) return undefined
  if (constraint.kind !== 'grammar') {
    throw new TokenmillError('unsupported', 'This engine takes output constraints as GBNF grammars.', {
      param: 'response_format',
    })
  }
  checkGrammar(constraint.grammar, maxGrammarBytes)
  return { gbnf: constraint.grammar, root: 'root' }
}

/** Parsing is recursive in libllama: what nests deeper than this overflows its stack. */
const deepestNesting = 64

function checkGrammar(gbnf: string, maxGrammarBytes: number): void {
  const bytes = Buffer.byteLength(gbnf)
  if (bytes > maxGrammarBytes) {
    const limit = { name: 'maxGrammarBytes', maximum: maxGrammarBytes, unit: 'bytes' }
    throw limitError(limit, bytes, 'The grammar', 'Simplify it.')
  }
  let depth = 0
  let deepest = 0
  // Brackets within quoted text and character classes do not nest.
  for (const [symbol] of gbnf.matchAll(/"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|#[^\n]*|[()]/g)) {
    if (symbol === '(') deepest = Math.max(deepest, (depth += 1))
    else if (symbol === ')') depth -= 1
  }
  if (deepest <= deepestNesting) return
  const limit = { name: 'grammar nesting', maximum: deepestNesting, unit: 'levels' }
  throw limitError(limit, deepest, 'The grammar', 'Name its inner parts as rules of their own.')
}
