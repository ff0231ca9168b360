import { createInterface, type Interface } from 'node:readline'
import { TokenmillError } from '../core/index.ts'
import type { ChatMessage } from '../inference/index.ts'
import { defineCommand, type Io } from './command.ts'
import type { Answer, LocalModel } from './local-model.ts'
import { localModelOptions } from './local-model-options.ts'
import { MultiLine } from './multi-line.ts'

const help = [
  'Enter sends. A line that ends with \\ goes on in the next; """ begins and ends a text of several lines.',
  '/clear forgets the conversation, /help shows this, /exit ends (as does Ctrl-D). Ctrl-C stops an answer.',
  '',
].join('\n')

export const chat = defineCommand({
  name: 'chat',
  summary: 'Talk with a model in the terminal',
  options: localModelOptions,
  examples: [
    'tokenmill chat',
    'tokenmill chat --model hf:bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M --system "Be brief."',
  ],
  async run(values, _positionals, io) {
    const { openLocalModel, speedLine } = await import('./local-model.ts')
    const model = await openLocalModel(values, io)
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
  model: LocalModel,
  lines: Interface,
  io: Io,
  describe: ((answer: Answer) => string) | undefined,
): Promise<number> {
  const messages: ChatMessage[] = []
  let code = 0
  let answering: AbortController | undefined
  lines.on('SIGINT', () => {
    if (answering === undefined) lines.close()
    else answering.abort(new Error('Stopped.'))
  })
  const prompt = (text: string): void => {
    if (describe === undefined) return
    lines.setPrompt(text)
    lines.prompt()
  }
  prompt('> ')
  const text = new MultiLine()
  for await (const line of lines) {
    const question = text.push(line)
    if (question === undefined) {
      prompt('… ')
      continue
    }
    if (question === '/exit') return code
    if (question === '/clear') messages.length = 0
    else if (question === '/help') io.stdout.write(help)
    else if (question !== '') {
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

function complaint({ code, message, details }: TokenmillError): string {
  if (code !== 'context_length_exceeded') return message
  const { actual, maximum } = details
  return `The conversation is ${actual} tokens with this question; the context is ${maximum}. /clear begins a new one.`
}
