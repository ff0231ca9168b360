import { complementAutomaton, searchAutomatonOf } from './automaton.ts'
import { sequence, text, type Expression } from './expression.ts'
import { encodePlainLetters, type GrammarBuilder } from './grammar-builder.ts'
import { jsonSpace } from './json-text.ts'
import * as pattern from './pattern.ts'

/** Any text in which the mark does not occur. */
export function textWithout(grammar: GrammarBuilder, mark: string): Expression {
  return grammar.shared(`text without ${mark}`, () =>
    grammar.automaton('t', complementAutomaton(searchAutomatonOf(pattern.text(mark))), encodePlainLetters),
  )
}

/** Any text up to the first occurrence of the mark, the mark, and white space. */
export function textThrough(grammar: GrammarBuilder, mark: string): Expression {
  return sequence(textWithout(grammar, mark), text(mark), jsonSpace(grammar), jsonSpace(grammar))
}
