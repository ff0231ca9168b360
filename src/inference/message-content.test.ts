import { describe, expect, it } from 'vitest'
import { appendText, toTextMessages, type MessagePart } from './message-content.ts'

const image: MessagePart = { kind: 'image', url: 'https://a.example/b.png' }

describe('the content of a message', () => {
  it('becomes one text for engines that read text, with thinking beside it', () => {
    const [message] = toTextMessages([
      {
        role: 'assistant',
        reasoning: 'first',
        content: [
          { kind: 'thinking', text: 'then', signature: 's' },
          { kind: 'text', text: 'It ' },
          { kind: 'text', text: 'is.' },
        ],
      },
    ])
    expect(message).toEqual({ role: 'assistant', reasoning: 'first\nthen', content: 'It is.' })
  })

  it('is refused by the name of the part where it cannot become text', () => {
    const user = { role: 'user', content: [{ kind: 'text', text: 'See' }, image] } as const
    expect(() => toTextMessages([{ role: 'system', content: 'A' }, user])).toThrow(
      expect.objectContaining({ code: 'unsupported', details: { param: 'messages[1].content[1]' } }),
    )
  })

  it('takes text behind it in either form', () => {
    expect(appendText('a', 'b')).toBe('ab')
    expect(appendText([image], 'b')).toEqual([image, { kind: 'text', text: 'b' }])
  })
})
