import { z } from 'zod'
import { defineOptions, TokenmillError } from '../core/index.ts'
import { defineCommand, type Io } from './command.ts'
import { localModelOptions } from './local-model-options.ts'

/** Longest text from a pipe: beyond any context, and a mistake. */
const maxPipedBytes = 4 * 1024 * 1024

export const runPrompt = defineCommand({
  name: 'run',
  summary: 'Answer one prompt, from the arguments or a pipe',
  arguments: [{ syntax: '[prompt...]', help: 'the prompt; what is piped in follows it' }],
  options: {
    ...localModelOptions,
    ...defineOptions({
      json: { schema: z.boolean(), default: false, help: 'Print one JSON object: text, tokens, times' },
      stats: { schema: z.boolean(), default: false, help: 'Print tokens/s and the time to the first token to stderr' },
    }),
  },
  examples: [
    'tokenmill run "Name three colours."',
    'git diff | tokenmill run "Describe this change." --model ./model.gguf',
    'tokenmill run hello --json | jq .text',
    'tokenmill run "Name three colours." --url http://127.0.0.1:8080/v1',
  ],
  async run(values, [words], io) {
    const prompt = [Array.isArray(words) ? words.join(' ') : '', await readPipe(io)]
      .filter((part) => part !== '')
      .join('\n\n')
    if (prompt === '') {
      throw new TokenmillError('invalid_request', 'There is no prompt. Give one as an argument, or pipe it in.')
    }
    const { openTerminalModel, speedLine } = await import('./local-model.ts')
    const model = await openTerminalModel(values, io)
    try {
      const answer = await model.answer(
        [{ role: 'user', content: prompt }],
        (text) => {
          if (!values.json) io.stdout.write(text)
        },
        io.stop,
      )
      if (values.json) io.stdout.write(`${JSON.stringify({ model: model.name, ...answer })}\n`)
      else if (!answer.text.endsWith('\n')) io.stdout.write('\n')
      if (values.stats) io.stderr.write(`${speedLine(answer)}\n`)
      return io.stop.aborted ? 130 : 0
    } finally {
      await model.close()
    }
  },
})

async function readPipe(io: Io): Promise<string> {
  if (io.stdin.isTTY) return ''
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of io.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxPipedBytes) {
      throw new TokenmillError(
        'limit_exceeded',
        `The piped text is longer than ${maxPipedBytes} bytes. Send a part of it.`,
      )
    }
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks).toString('utf8').trim()
}
