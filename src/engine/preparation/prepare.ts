import { createChatFormat, factsOfConvention, type ChatFormat } from '../../model/index.ts'
import { ConstraintCompiler } from '../grammar/index.ts'
import { checkGrammar } from './grammar-check.ts'
import {
  toAnswerShape,
  type PreparationData,
  type PreparationResult,
  type PreparationTask,
  type RenderedFacts,
} from '../preparation-tasks.ts'
import { checkPromptSize } from '../prompt-size.ts'

/** Renders chats and compiles constraints for one model: the inside of a preparing thread, without the thread. */
export function createPreparation({
  chat,
  maxGrammarBytes,
}: PreparationData): (task: PreparationTask) => PreparationResult {
  const compiler = new ConstraintCompiler(maxGrammarBytes)
  let format: ChatFormat | undefined
  const render = (task: Extract<PreparationTask, { kind: 'render' }>): RenderedFacts => {
    format ??= createChatFormat(chat)
    const rendered = format.render(task.chat)
    if (task.limit !== undefined) checkPromptSize(rendered.prompt, task.limit)
    return { ...rendered, answer: { ...rendered.answer, convention: factsOfConvention(rendered.answer.convention) } }
  }
  return (task) => {
    switch (task.kind) {
      case 'warm':
        format ??= createChatFormat(chat)
        return undefined
      case 'render':
        return render(task)
      case 'compile': {
        const { constraint, answer } = task
        if (constraint?.kind === 'grammar') checkGrammar(constraint.grammar, maxGrammarBytes)
        return compiler.compile({ constraint, chat: task.chat, answer: answer && toAnswerShape(answer) })
      }
    }
  }
}
