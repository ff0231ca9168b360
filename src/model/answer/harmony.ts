import { isName } from './call-name.ts'
import type { PieceWriter } from './piece-writer.ts'
import { readUntil, type Reading, type TextCursor } from './text-cursor.ts'

/**
 * gpt-oss writes an answer as several messages, each with a channel, and calls as messages to a recipient:
 *
 *   <|channel|>analysis<|message|>thinking<|end|>
 *   <|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{…}<|call|>
 *   <|start|>assistant<|channel|>final<|message|>answer<|return|>
 *
 * Format: https://cookbook.openai.com/articles/openai-harmony. The recipient may stand before the channel, too.
 */
export function* readHarmony(cursor: TextCursor, out: PieceWriter): Reading<void> {
  const ends = ['<|end|>', '<|call|>', '<|return|>', '<|start|>']
  let first = true
  for (;;) {
    let header = ''
    // Without a header the text is the answer: the model was led into a message, or strayed from its format.
    const opened = yield* readUntil(cursor, ['<|message|>', ...ends], (text) => {
      header += text
    })
    if (opened === undefined && header.trim() === '') return
    if (opened !== '<|message|>') {
      if (!isHeader(header)) out.text(header)
      if (opened === undefined) return
      continue
    }
    const channel = /<\|channel\|>\s*(\w+)/.exec(header)?.[1] ?? 'final'
    const recipient = /(?:^|[\s>])to=(?:functions\.)?([^\s<]+)/.exec(header)?.[1]
    const ended = yield* readMessage(cursor, out, ends, channel, recipient, first)
    first = false
    if (ended === undefined) return
  }
}

function* readMessage(
  cursor: TextCursor,
  out: PieceWriter,
  ends: readonly string[],
  channel: string,
  recipient: string | undefined,
  first: boolean,
): Reading<string | undefined> {
  if (recipient !== undefined && isName(recipient)) {
    out.startCall(recipient)
    const ended = yield* readUntil(cursor, ends, (text) => out.callArguments(text))
    out.endCall()
    return ended
  }
  if (channel === 'analysis') {
    if (!first) out.reasoning('\n')
    return yield* readUntil(cursor, ends, (text) => out.reasoning(text))
  }
  if (!first) out.text('\n')
  return yield* readUntil(cursor, ends, (text) => out.text(text))
}

function isHeader(text: string): boolean {
  return text.includes('<|channel|>') || /^\s*(?:assistant)?\s*(?:to=\S*)?\s*$/.test(text)
}
