import { describe, expect, it } from 'vitest'
import type { ChatInput, ToolDefinition } from '../../inference/index.ts'
import { createChatFormat } from '../chat-format.ts'
import { createOutputParser } from './output-parser.ts'
import type { ChatPiece } from './piece-writer.ts'

/**
 * What models of each family write, and what it must become. `shows` is the part of a chat template by which the
 * family is known. Every transcript is cut at every byte.
 */
interface Transcript {
  readonly name: string
  readonly shows: string
  /** What the template opens the answer with. */
  readonly opens?: string
  readonly answer: string
  readonly reasoning?: string
  readonly text: string
  readonly calls: readonly { readonly name: string; readonly arguments: string }[]
  readonly parallel?: boolean
  readonly withoutTools?: boolean
}

const weather = (city: string) => ({ name: 'weather', arguments: `{"city": "${city}"}` })

const transcripts: readonly Transcript[] = [
  {
    name: 'Hermes and Qwen: one call behind text',
    shows: '<tool_call>',
    answer: 'Let me look.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Ålesund"}}\n</tool_call>',
    text: 'Let me look.',
    calls: [weather('Ålesund')],
  },
  {
    name: 'Hermes: parallel calls, text between and behind',
    shows: '<tool_call>',
    answer:
      '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>\nand\n' +
      '<tool_call>{"arguments": {"zone": "CET", "deep": {"a": ["}", "\\"{"]}}, "name": "clock"}</tool_call>\nDone.',
    text: 'andDone.',
    calls: [weather('Oslo'), { name: 'clock', arguments: '{"zone": "CET", "deep": {"a": ["}", "\\"{"]}}' }],
  },
  {
    name: 'Hermes: no arguments, null arguments, arguments inside a string',
    shows: '<tool_call>',
    answer:
      '<tool_call>{"name": "clock"}</tool_call><tool_call>{"name": "clock", "arguments": null}</tool_call>' +
      '<tool_call>{"name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}</tool_call>',
    text: '',
    calls: [{ name: 'clock', arguments: '{}' }, { name: 'clock', arguments: '{}' }, weather('Oslo')],
  },
  {
    name: 'Hermes: what only looks like a call stays text',
    shows: '<tool_call>',
    answer: 'Write <tool_call>nothing of use</tool_call> or <tool_ca> or <tool_call>{"x": 1}</tool_call>.  ',
    text: 'Write <tool_call>nothing of use</tool_call> or <tool_ca> or <tool_call>{"x": 1}</tool_call>.  ',
    calls: [],
  },
  {
    name: 'Hermes: one call where parallel ones are not wanted',
    shows: '<tool_call>',
    parallel: false,
    answer:
      '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>' +
      '<tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call>',
    text: '',
    calls: [weather('Oslo')],
  },
  {
    name: 'Hermes: the token limit cuts a call',
    shows: '<tool_call>',
    answer: '<tool_call>\n{"name": "weather", "arguments": {"city": "Osl',
    text: '',
    calls: [{ name: 'weather', arguments: '{"city": "Osl' }],
  },
  {
    name: 'Qwen3: thinking, then a call',
    shows: '<think> <tool_call>',
    answer:
      '<think>\nThe user asks of Oslo.\nSo I call.\n</think>\n\n<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    reasoning: 'The user asks of Oslo.\nSo I call.',
    text: '',
    calls: [weather('Oslo')],
  },
  {
    name: 'Qwen3: thinking opened by the template',
    shows: '<tool_call>',
    opens: '<think>\n',
    answer: 'Simple.\n</think>\n\nIt is 7 °C.',
    reasoning: 'Simple.',
    text: 'It is 7 °C.',
    calls: [],
  },
  {
    name: 'Qwen3: thinking closed by the template, and text that mentions the mark',
    shows: '<tool_call>',
    opens: '<think>\n\n</think>\n\n',
    answer: 'The tag <think> opens thinking.',
    text: 'The tag <think> opens thinking.',
    calls: [],
  },
  {
    name: 'thinking without tools, never closed',
    shows: '<think>',
    withoutTools: true,
    answer: '  <think>And so on and on ',
    reasoning: 'And so on and on',
    text: '',
    calls: [],
  },
  {
    name: 'Qwen3-Coder: arguments as tags',
    shows: '<tool_call> <function=',
    answer:
      'I look.\n<tool_call>\n<function=weather>\n<parameter=city>\n12\n</parameter>\n<parameter=days>\n3\n</parameter>\n' +
      '<parameter=note>\ntwo\nlines "quoted"\n</parameter>\n</function>\n</tool_call>\n' +
      '<tool_call>\n<function=clock>\n</function>\n</tool_call>',
    text: 'I look.',
    calls: [
      { name: 'weather', arguments: '{"city": "12", "days": 3, "note": "two\\nlines \\"quoted\\""}' },
      { name: 'clock', arguments: '{}' },
    ],
  },
  {
    name: 'GLM: keys and values as tags',
    shows: '<tool_call> <arg_key>',
    answer:
      '<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>' +
      '\n<tool_call>clock</tool_call>',
    text: '',
    calls: [
      { name: 'weather', arguments: '{"city": "Oslo", "days": 3}' },
      { name: 'clock', arguments: '{}' },
    ],
  },
  {
    name: 'Mistral: a list of calls',
    shows: '[TOOL_CALLS]',
    answer:
      '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Oslo"}, "id": "123456789"}, {"name": "clock", "arguments": {}}]',
    text: '',
    calls: [weather('Oslo'), { name: 'clock', arguments: '{}' }],
  },
  {
    name: 'Mistral: named calls with and without identifiers, behind thinking and text',
    shows: '[TOOL_CALLS] [ARGS] [THINK]',
    answer:
      '[THINK]Hm.[/THINK]One moment.[TOOL_CALLS]weather[ARGS]{"city": "Oslo"}[TOOL_CALLS]clock[CALL_ID]abcdefghi[ARGS]{}',
    reasoning: 'Hm.',
    text: 'One moment.',
    calls: [weather('Oslo'), { name: 'clock', arguments: '{}' }],
  },
  {
    name: 'Mistral: a mark with nothing behind it',
    shows: '[TOOL_CALLS] [ARGS]',
    answer: 'See [TOOL_CALLS] and [ARGS]? No!',
    text: 'See [TOOL_CALLS] and [ARGS]? No!',
    calls: [],
  },
  {
    name: 'Llama 3: a call as bare JSON',
    shows: '<|python_tag|>',
    answer: '\n{"name": "weather", "parameters": {"city": "Oslo"}}',
    text: '',
    calls: [weather('Oslo')],
  },
  {
    name: 'Llama 3: two calls behind the tag, and a remark',
    shows: '<|python_tag|>',
    answer:
      '<|python_tag|>{"type": "function", "name": "weather", "parameters": {"city": "Oslo"}}; {"name": "clock", "parameters": {}}\nHere.',
    text: 'Here.',
    calls: [weather('Oslo'), { name: 'clock', arguments: '{}' }],
  },
  {
    name: 'Llama 3: JSON that is an answer, of unknown name, or cut off',
    shows: '<|python_tag|>',
    answer: '{"name": "Ada", "parameters": {"born": 1815}} is a record, {"name": "weather"',
    text: '{"name": "Ada", "parameters": {"born": 1815}} is a record, {"name": "weather"',
    calls: [],
  },
  {
    name: 'gpt-oss: analysis, preamble, a call',
    shows: '<|channel|> <|message|>',
    opens: '<|start|>assistant',
    answer:
      '<|channel|>analysis<|message|>Need the weather.<|end|><|start|>assistant<|channel|>commentary<|message|>I look it up.<|end|>' +
      '<|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Oslo"}<|call|>',
    reasoning: 'Need the weather.',
    text: 'I look it up.',
    calls: [weather('Oslo')],
  },
  {
    name: 'gpt-oss: recipient in front of the channel, and a call without arguments',
    shows: '<|channel|> <|message|>',
    opens: '<|start|>assistant',
    answer: ' to=functions.clock<|channel|>commentary json<|message|><|call|>',
    text: '',
    calls: [{ name: 'clock', arguments: '{}' }],
  },
  {
    name: 'gpt-oss: an answer without tools',
    shows: '<|channel|> <|message|>',
    opens: '<|start|>assistant',
    withoutTools: true,
    answer:
      '<|channel|>analysis<|message|>Easy.<|end|><|start|>assistant<|channel|>final<|message|>Seven.\n\nYes.<|return|>',
    reasoning: 'Easy.',
    text: 'Seven.\n\nYes.',
    calls: [],
  },
  {
    name: 'gpt-oss: a final message that the prompt has begun',
    shows: '<|channel|> <|message|>',
    opens: '<|start|>assistant<|channel|>final<|message|>One, ',
    withoutTools: true,
    answer: 'two.',
    text: 'two.',
    calls: [],
  },
  {
    name: 'DeepSeek V3.1: calls in a section',
    shows: '<｜tool▁call▁begin｜>',
    answer:
      'I ask.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{"city": "Oslo"}<｜tool▁call▁end｜>' +
      '<｜tool▁call▁begin｜>clock<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    text: 'I ask.',
    calls: [weather('Oslo'), { name: 'clock', arguments: '{}' }],
  },
  {
    name: 'DeepSeek R1: thinking, then fenced calls',
    shows: '<｜tool▁call▁begin｜> ```json <think>',
    opens: '<think>\n',
    answer:
      'I think.\n</think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n{"city": "Oslo"}\n```<｜tool▁call▁end｜>\n' +
      '<｜tool▁call▁begin｜>function<｜tool▁sep｜>clock\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    reasoning: 'I think.',
    text: '',
    calls: [weather('Oslo'), { name: 'clock', arguments: '{}' }],
  },
  {
    name: 'Kimi: names with a number',
    shows: '<|tool_call_begin|>',
    answer:
      '<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>{"city": "Oslo"}<|tool_call_end|><|tool_calls_section_end|>',
    text: '',
    calls: [weather('Oslo')],
  },
  {
    name: 'no convention known: the one that the model is told',
    shows: 'nothing',
    answer: 'Sure. <tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    text: 'Sure.',
    calls: [weather('Oslo')],
  },
]

const tools: readonly ToolDefinition[] = [
  {
    name: 'weather',
    description: 'Tells the weather',
    parameters: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } },
    strict: false,
  },
  { name: 'clock', description: undefined, parameters: undefined, strict: false },
]

function parserFor(transcript: Transcript) {
  const chat: ChatInput = {
    messages: [{ role: 'user', content: 'Hi' }],
    tools: transcript.withoutTools ? [] : tools,
    toolChoice: { kind: 'auto' },
    parallelToolCalls: transcript.parallel ?? true,
    reasoningEffort: undefined,
    templateVariables: {},
    continueFinalMessage: false,
  }
  const template =
    `{# ${transcript.shows} #}{% for m in messages %}{{ m.content }}{% endfor %}` +
    `{% if add_generation_prompt %}{{ ${JSON.stringify(transcript.opens ?? '')} }}{% endif %}{% if false %}${transcript.shows}{% endif %}`
  const rendered = createChatFormat({ chatTemplate: template, bosToken: undefined, eosToken: undefined }).render(chat)
  return createOutputParser(chat, rendered)
}

interface Whole {
  text: string
  reasoning: string
  readonly calls: { id: string; name: string; arguments: string }[]
}

/** What a client puts together from the pieces; throws where a piece breaks the rules of streaming. */
function assemble(pieces: readonly ChatPiece[]): Whole {
  const whole: Whole = { text: '', reasoning: '', calls: [] }
  for (const piece of pieces) {
    if (piece.type === 'text') whole.text += piece.text
    else if (piece.type === 'reasoning') whole.reasoning += piece.text
    else if (piece.id !== undefined) {
      expect(piece.call).toBe(whole.calls.length)
      whole.calls.push({ id: piece.id, name: piece.name ?? '', arguments: piece.arguments })
    } else {
      expect(piece.name).toBeUndefined()
      const call = whole.calls[piece.call]
      if (call === undefined) throw new Error(`Arguments for call ${piece.call}, which has not begun`)
      call.arguments += piece.arguments
    }
  }
  return whole
}

function parse(transcript: Transcript, parts: readonly string[]): Whole {
  const parser = parserFor(transcript)
  return assemble([...parts.flatMap((part) => parser.push(part)), ...parser.end()])
}

const withoutIds = ({ calls, ...rest }: Whole) => ({
  ...rest,
  calls: calls.map((call) => ({ name: call.name, arguments: call.arguments })),
})

/** The text cut into two at byte `at`: a character's bytes wait for the rest of it, as in the engine. */
function cut(bytes: Uint8Array, at: number): readonly string[] {
  const decoder = new TextDecoder()
  return [decoder.decode(bytes.subarray(0, at), { stream: true }), decoder.decode(bytes.subarray(at))]
}

describe('createOutputParser', () => {
  for (const transcript of transcripts) {
    const expected = { text: transcript.text, reasoning: transcript.reasoning ?? '', calls: transcript.calls }
    const bytes = new TextEncoder().encode(transcript.answer)

    it(`reads ${transcript.name}`, () => {
      expect(withoutIds(parse(transcript, [transcript.answer]))).toEqual(expected)
    })

    it(`reads the same from every cut of ${transcript.name}`, () => {
      expect(withoutIds(parse(transcript, transcript.answer.split('')))).toEqual(expected)
      for (let at = 1; at < bytes.length; at += 1) {
        expect(withoutIds(parse(transcript, cut(bytes, at))), `cut at byte ${at}`).toEqual(expected)
      }
    })
  }

  it('gives each call an identifier of its own, in the form that the family takes', () => {
    const identifiersOf = (name: string) => {
      const transcript = transcripts.find((candidate) => candidate.name.startsWith(name))
      if (transcript === undefined) throw new Error(name)
      return [parse(transcript, [transcript.answer]), parse(transcript, [transcript.answer])].flatMap(({ calls }) =>
        calls.map((call) => call.id),
      )
    }
    const hermes = identifiersOf('Hermes: parallel')
    expect(new Set(hermes).size).toBe(4)
    const mistral = identifiersOf('Mistral: a list')
    expect(new Set(mistral).size).toBe(4)
    for (const id of mistral) expect(id).toMatch(/^[a-z0-9]{9}$/)
  })

  it('streams arguments before the call is complete', () => {
    const [transcript] = transcripts
    if (transcript === undefined) throw new Error('no transcript')
    const parser = parserFor(transcript)
    const first = parser.push('<tool_call>\n{"name": "weather", "arguments": {"city": "Os')
    expect(assemble(first).calls).toMatchObject([{ name: 'weather', arguments: '{"city": "Os' }])
    expect(assemble(first.concat(parser.push('lo"')))).toMatchObject({ calls: [{ arguments: '{"city": "Oslo"' }] })
  })

  it('holds back no more than what may be a mark', () => {
    const [transcript] = transcripts
    if (transcript === undefined) throw new Error('no transcript')
    const parser = parserFor(transcript)
    expect(parser.push('I write <tool')).toMatchObject([{ type: 'text', text: 'I write' }])
    expect(parser.push('box> now')).toMatchObject([{ type: 'text', text: ' <toolbox> now' }])
  })
})
