import { createInterface, type Interface } from 'node:readline'
import { TokenmillError } from '../core/index.ts'
import type { ChatMessage } from '../inference/index.ts'
import { defineCommand, type Io } from './command.ts'
import type { Answer, TerminalModel } from './local-model.ts'
import { localModelOptions } from './local-model-options.ts'
import { MultiLine } from './multi-line.ts'

const help = [
  'Enter sends. A line that ends with \\ goes on in the next; """ begins and ends a text of several lines.',
  '/clear forgets the conversation, /help shows this, /exit ends (as does Ctrl-D). Ctrl-C stops an answer, or clears the line.',
  '',
].join('\n')

export const chat = defineCommand({
  name: 'chat',
  summary: 'Talk with a model in the terminal',
  options: localModelOptions,
  examples: [
    'tokenmill chat',
    'tokenmill chat --model hf:bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M --system "Be brief."',
    'tokenmill chat --url http://127.0.0.1:8080/v1',
  ],
  async run(values, _positionals, io) {
    const { openTerminalModel, speedLine } = await import('./local-model.ts')
    const model = await openTerminalModel(values, io)
    const terminal = io.stdin.isTTY && io.stdout.isTTY
    const lines = createInterface({ input: io.stdin, output: io.stdout, terminal, historySize: 500 })
    io.stop.addEventListener('abort', () => lines.close(), { once: true })
    try {
      if (terminal) io.stdout.write(`${model.name} is ready.\n${help}`)
      return await converse(model, lines, io, terminal ? speedLine : undefined)
    } finally {
      lines.close()
      await model.close()
    }
  },
})

/**
 * Questions and answers until the input ends. At a terminal, a line about each answer follows it. A question that
 * cannot be answered is told and forgotten, and the conversation goes on; the exit code is 1 then.
 */
async function converse(
  model: TerminalModel,
  lines: Interface,
  io: Io,
  describe: ((answer: Answer) => string) | undefined,
): Promise<number> {
  const messages: ChatMessage[] = []
  let code = 0
  let answering: AbortController | undefined
  const text = new MultiLine()
  lines.on('SIGINT', () => {
    if (answering !== undefined) return answering.abort(new Error('Stopped.'))
    // What stands there goes first; only an empty line ends the conversation.
    if (lines.line === '' && text.empty) return lines.close()
    text.clear()
    lines.write(null, { ctrl: true, name: 'e' })
    lines.write(null, { ctrl: true, name: 'u' })
    io.stdout.write('\n')
    prompt('> ')
  })
  const prompt = (text: string): void => {
    if (describe === undefined) return
    lines.setPrompt(text)
    lines.prompt()
  }
  prompt('> ')
  for await (const line of lines) {
    const question = text.push(line)
    if (question === undefined) {
      prompt('… ')
      continue
    }
    if (question === '/exit') return code
    if (question === '/clear') messages.length = 0
    else if (question === '/help') io.stdout.write(help)
    else if (unknownCommand.test(question)) {
      code = 1
      io.stderr.write(`There is no command ${question.split(/\s/)[0] ?? ''}: /help shows those that are.\n`)
    } else if (question !== '') {
      answering = new AbortController()
      messages.push({ role: 'user', content: question })
      try {
        const answer = await model.answer(
          messages,
          (piece) => io.stdout.write(piece),
          AbortSignal.any([answering.signal, io.stop]),
        )
        messages.push({ role: 'assistant', content: answer.text })
        io.stdout.write(answer.text.endsWith('\n') ? '' : '\n')
        if (describe !== undefined) io.stdout.write(`\u001b[2m${describe(answer)}\u001b[0m\n`)
      } catch (error) {
        if (!(error instanceof TokenmillError)) throw error
        messages.pop()
        code = 1
        io.stderr.write(`${complaint(error)}\n`)
      }
      answering = undefined
      if (io.stop.aborted) return code
    }
    prompt('> ')
  }
  return code
}

/** A word after a slash; a path has more slashes, and is a question. */
const unknownCommand = /^\/[a-z?][\w-]*(\s|$)/i

function complaint({ code, message, details }: TokenmillError): string {
  if (code !== 'context_length_exceeded') return message
  const { actual, maximum } = details
  return `The conversation is ${actual} tokens with this question; the context is ${maximum}. /clear begins a new one.`
}
