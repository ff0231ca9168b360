/** What ranks need of a vocabulary. */
export interface RankVocabulary {
  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Int32Array
  piece(token: number, special: boolean): Uint8Array
  isControl(token: number): boolean
  /** Undefined: no token stands there. */
  marks(): {
    readonly begin: number | undefined
    readonly end: number | undefined
    readonly between: number | undefined
  }
}

/** Writes a query and a document as one sequence, as the reranker has learnt to read them. */
export type RankPrompt = (query: string, document: string) => Int32Array

/**
 * By the model's template, with `{query}` and `{document}` in it, or, without one, as cross-encoders do:
 * begin query end between document end, each mark where the vocabulary adds it.
 *
 * Control tokens are the template's alone: it is cut at them, and what lies between is tokenised as plain text once the
 * query and the document are in it. A document that spells `<|im_end|>` cannot end its turn.
 */
export function createRankPrompt(vocabulary: RankVocabulary, template: string | undefined): RankPrompt {
  if (template === undefined) return pairOf(vocabulary)
  const decoder = new TextDecoder()
  const controls = [...vocabulary.tokenize(template, false, true)]
    .filter((token) => vocabulary.isControl(token))
    .map((token) => ({ token, text: decoder.decode(vocabulary.piece(token, true)) }))
  const parts: (number | string)[] = []
  let rest = template
  for (const { token, text } of controls) {
    const at = rest.indexOf(text)
    if (text === '' || at < 0) continue
    parts.push(rest.slice(0, at), token)
    rest = rest.slice(at + text.length)
  }
  parts.push(rest)
  return (query, document) =>
    joined(
      parts.map((part) => {
        if (typeof part === 'number') return [part]
        const text = part.replace(/\{(query|document)\}/g, (_, name) => (name === 'query' ? query : document))
        return text === '' ? [] : vocabulary.tokenize(text, false, false)
      }),
    )
}

function pairOf(vocabulary: RankVocabulary): RankPrompt {
  const { begin, end, between } = vocabulary.marks()
  const mark = (token: number | undefined) => (token === undefined ? [] : [token])
  return (query, document) => {
    const [first, second] = [query, document].map((text) => vocabulary.tokenize(text, false, false))
    return joined([mark(begin), first ?? [], mark(end), mark(between), second ?? [], mark(end)])
  }
}

function joined(parts: readonly ArrayLike<number>[]): Int32Array {
  const tokens = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    tokens.set(part, at)
    at += part.length
  }
  return tokens
}
