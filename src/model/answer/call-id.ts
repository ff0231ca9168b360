import { createHash, randomBytes } from 'node:crypto'
import { createId } from '../../core/index.ts'
import type { TextMessage } from '../../inference/index.ts'
import type { CallConvention } from './call-convention.ts'

/** A fresh identifier for a call, in the form that the family's template will take back. */
export function createCallId(convention: CallConvention): string {
  return convention.callIds === 'nineLetters' ? nineLetters(randomBytes(16)) : createId('call')
}

/** The identifiers in a conversation in the form that the family's template insists on; calls and results still match. */
export function rewriteCallIds(messages: readonly TextMessage[], convention: CallConvention): readonly TextMessage[] {
  if (convention.callIds === undefined) return messages
  const rewritten = new Map<string, string>()
  let ordinal = 0
  const rewrite = (id: string, name: string): string => {
    const known = rewritten.get(id)
    if (known !== undefined) return known
    const fresh =
      convention.callIds === 'numbered'
        ? `functions.${name}:${ordinal}`
        : /^[a-zA-Z0-9]{9}$/.test(id)
          ? id
          : nineLetters(createHash('sha256').update(id).digest())
    ordinal += 1
    rewritten.set(id, fresh)
    return fresh
  }
  return messages.map((message) => ({
    ...message,
    ...(message.toolCalls !== undefined && {
      toolCalls: message.toolCalls.map((call) => ({ ...call, id: rewrite(call.id, call.name) })),
    }),
    ...(message.toolCallId !== undefined && { toolCallId: rewrite(message.toolCallId, message.name ?? 'unknown') }),
  }))
}

function nineLetters(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').slice(0, 9)
}
