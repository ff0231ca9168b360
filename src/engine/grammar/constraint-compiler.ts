import { createHash } from 'node:crypto'
import { TokenmillError } from '../../core/index.ts'
import type { ChatInput, OutputConstraint } from '../../inference/index.ts'
import type { AnswerShape } from '../../model/index.ts'
import { choice, nothing, optional, sequence, text, type Expression } from './expression.ts'
import { GrammarBuilder } from './grammar-builder.ts'
import { jsonObject } from './json-text.ts'
import { grammarOptions } from './options.ts'
import { SchemaCompiler } from './schema-compiler.ts'
import { textThrough } from './text-without.ts'
import { callableTools, writeCalls } from './tool-grammar.ts'
import type { Trigger } from './trigger-watch.ts'

/** What a request demands of its output. */
export interface ConstraintRequest {
  readonly constraint: OutputConstraint | undefined
  /** Present for chats: the tools that may be called, and how the answer is made. */
  readonly chat: ChatInput | undefined
  readonly answer: AnswerShape | undefined
}

/** A grammar in llama.cpp's GBNF whose start is the rule `root`. */
export interface CompiledConstraint {
  readonly gbnf: string
  readonly root: 'root'
  /** Undefined: the grammar binds from the first token. */
  readonly trigger: Trigger | undefined
  /** What it does not hold of the schemas of tools that are not strict, tool and keyword each: `search uniqueItems`. */
  readonly unenforced: readonly string[]
}

/**
 * Compiles what a request demands of its output, and remembers the last results. Throws `unsupported` for what cannot
 * be enforced, with the path of the keyword as `param`; `invalid_request` for schemas that are none.
 */
export class ConstraintCompiler {
  readonly #compiled = new Map<string, CompiledConstraint | undefined>()
  readonly #capacity: number
  readonly #maxBytes: number

  /** `maxBytes`: longest grammar that a request may bring. */
  constructor(maxBytes: number, capacity: number = grammarOptions.maxCachedGrammars.default) {
    this.#maxBytes = maxBytes
    this.#capacity = capacity
  }

  /** Undefined where nothing is demanded. */
  compile(request: ConstraintRequest): CompiledConstraint | undefined {
    const { constraint, chat, answer } = request
    if (constraint === undefined && (chat === undefined || chat.tools.length === 0)) return undefined
    if (constraint?.kind === 'grammar')
      return { gbnf: constraint.grammar, root: 'root', trigger: undefined, unenforced: [] }
    const key = keyOf(request)
    const known = this.#compiled.get(key)
    if (known !== undefined || this.#compiled.has(key)) {
      // Asked for again: now the youngest.
      this.#compiled.delete(key)
      this.#compiled.set(key, known)
      return known
    }
    const compiled = this.#makeOrLoosen(constraint, chat, answer)
    this.#compiled.set(key, compiled)
    for (const oldest of this.#compiled.keys()) {
      if (this.#compiled.size <= this.#capacity) break
      this.#compiled.delete(oldest)
    }
    return compiled
  }

  /** Tools that are not strict never cost the request: where all together are too much, they take any arguments. */
  #makeOrLoosen(
    constraint: OutputConstraint | undefined,
    chat: ChatInput | undefined,
    answer: AnswerShape | undefined,
  ): CompiledConstraint | undefined {
    try {
      return this.#make(constraint, chat, answer, false)
    } catch (error) {
      const loosens = error instanceof TokenmillError && chat?.tools.some((tool) => !tool.strict) === true
      if (!loosens) throw error
      return this.#make(constraint, chat, answer, true)
    }
  }

  #make(
    constraint: OutputConstraint | undefined,
    chat: ChatInput | undefined,
    answer: AnswerShape | undefined,
    loose: boolean,
  ): CompiledConstraint | undefined {
    const grammar = new GrammarBuilder()
    let unenforced: readonly string[] = []
    const write = (root: Expression, param: string, trigger?: Trigger): CompiledConstraint => ({
      gbnf: grammar.write(root, this.#maxBytes, param),
      root: 'root',
      trigger,
      unenforced,
    })
    if (chat === undefined || answer === undefined) return write(writeValue(grammar, constraint), valuePath)
    const { syntax } = answer.convention
    const tools = callableTools(chat)
    const calls = (behind: string): Expression => {
      const written = writeCalls(grammar, syntax, tools, chat.parallelToolCalls, behind, loose)
      unenforced = written.unenforced
      return written.expression
    }
    const thinking = writeThinking(grammar, answer)
    const opened = answer.opening.includes('<|message|>')
    const value = (): Expression =>
      sequence(text(opened ? '' : syntax.textOpen), writeValue(grammar, constraint), text(syntax.textClose))
    if (chat.toolChoice.kind === 'required' || chat.toolChoice.kind === 'named') {
      return write(sequence(thinking, calls('')), 'tools')
    }
    if (constraint !== undefined) {
      const either =
        tools.length === 0 ? value() : choice(grammar.rule('calls', calls('')), grammar.rule('answer', value()))
      return write(sequence(thinking, either), valuePath)
    }
    // Without a mark for calls, the answer is free to be one or not, and then to be a wrong one.
    if (tools.length === 0 || syntax.trigger === undefined) return undefined
    return write(calls(syntax.trigger), 'tools', {
      text: syntax.trigger,
      onlyAtStart: syntax.triggersOnlyAtStart,
      thinking: answer.thinking && { ...answer.thinking.marks, opened: answer.thinking.opened },
    })
  }
}

/** Where clients put the schema of a chat's answer, as errors name it. */
const valuePath = 'response_format.json_schema.schema'

function writeValue(grammar: GrammarBuilder, constraint: OutputConstraint | undefined): Expression {
  switch (constraint?.kind) {
    case 'jsonObject':
      return jsonObject(grammar)
    case 'jsonSchema': {
      const root = { schema: constraint.schema, path: valuePath }
      return new SchemaCompiler(grammar, root).compile(root)
    }
    default:
      throw new TokenmillError('internal', 'There is no schema to compile.')
  }
}

/** Thinking in front of what is constrained: as the model marks it, if it does. */
function writeThinking(grammar: GrammarBuilder, answer: AnswerShape): Expression {
  if (answer.convention.name === 'harmony') {
    if (answer.opening !== '') return nothing
    const analysis = sequence(
      text('<|channel|>analysis<|message|>'),
      textThrough(grammar, '<|end|>'),
      text('<|start|>assistant'),
    )
    return optional(grammar.rule('analysis', analysis))
  }
  if (answer.thinking === undefined) return nothing
  const { marks, opened } = answer.thinking
  const closing = textThrough(grammar, marks.close)
  return opened ? closing : optional(grammar.rule('thinking', sequence(text(marks.open), closing)))
}

function keyOf({ constraint, chat, answer }: ConstraintRequest): string {
  const demands = [
    constraint,
    chat && [chat.tools, chat.toolChoice, chat.parallelToolCalls],
    answer && [answer.convention.name, answer.thinking, answer.opening],
  ]
  return createHash('sha256').update(JSON.stringify(demands)).digest('base64')
}
