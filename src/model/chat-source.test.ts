import { describe, expect, it } from 'vitest'
import { openChatSource, readChatSource } from './chat-source.ts'

describe('readChatSource()', () => {
  it('takes the text of a template as it is', () => {
    const template = '{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}'
    expect(readChatSource(template)).toEqual({ chatTemplate: template, bosToken: undefined, eosToken: undefined })
  })

  it('finds templates and special tokens in tokenizer_config.json, in each of their forms', () => {
    expect(readChatSource('{"chat_template": "t", "bos_token": null, "eos_token": "</s>"}')).toMatchObject({
      chatTemplate: 't',
      bosToken: undefined,
      eosToken: '</s>',
    })
    const named = {
      chat_template: [
        { name: 'default', template: 'd' },
        { name: 'tool_use', template: 'u' },
      ],
      bos_token: { content: '<s>' },
    }
    expect(readChatSource(JSON.stringify(named))).toMatchObject({
      chatTemplate: 'd',
      toolTemplate: 'u',
      bosToken: '<s>',
    })
  })

  it('says what is wrong with a file that is neither', () => {
    expect(() => readChatSource('{"model_type": "llama"}')).toThrow(/without `chat_template`/)
    expect(() => readChatSource('{"chat_template": ')).toThrow(/looks like JSON/)
  })
})

describe('openChatSource()', () => {
  it('knows templates by name, and says which where a name is none and no file', () => {
    expect(openChatSource('chatml').chatTemplate).toContain('<|im_start|>')
    expect(() => openChatSource('chatlm')).toThrow(/'chatlm' is no readable file and no known name.*chatml, llama-2/)
  })
})
