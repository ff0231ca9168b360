import { parse, tokenize } from '@huggingface/jinja'
import type { Node } from './ast.ts'
import { runTemplate } from './interpreter.ts'
import type { Text } from './marked-text.ts'
import type { Value } from './values.ts'

export interface ParsedTemplate {
  /** Throws TemplateError. */
  run(names: ReadonlyMap<string, Value>): Text
}

/** Parses as Hugging Face's transformers configure jinja2. Line ends become LF. Throws SyntaxError. */
export function parseTemplate(source: string): ParsedTemplate {
  const tokens = tokenize(source.replace(/\r\n?/g, '\n'), { lstrip_blocks: true, trim_blocks: true })
  const program = parse(tokens) as unknown as Node
  return { run: (names) => runTemplate(program, names) }
}
