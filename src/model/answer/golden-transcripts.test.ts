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
  /** A limit or a stop text ended it. */
  readonly cut?: boolean
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
    name: 'Qwen3-Coder: text that an edit needs exactly, enum values, a nullable, and Python’s words',
    shows: '<tool_call> <function=',
    answer:
      '<tool_call>\n<function=edit>\n<parameter=old>\n\n\tif (a < b) {\n</parameter>\n<parameter=new>\n12\n</parameter>\n' +
      '<parameter=unit>\ncelsius\n</parameter>\n<parameter=note>\nnull\n</parameter>\n<parameter=all>\nTrue\n</parameter>\n</function>\n</tool_call>',
    text: '',
    calls: [
      {
        name: 'edit',
        arguments: '{"old": "\\n\\tif (a < b) {", "new": "12", "unit": "celsius", "note": null, "all": true}',
      },
    ],
  },
  {
    name: 'Qwen3-Coder: a call of a known tool without its opening tag, and a mention of another',
    shows: '<tool_call> <function=',
    answer:
      'Write <function=other> so.\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>\nDone.',
    text: 'Write <function=other> so.Done.',
    calls: [weather('Oslo')],
  },
  {
    name: 'GLM: a value’s own line breaks, and text behind a call without arguments',
    shows: '<tool_call> <arg_key>',
    answer:
      '<tool_call>clock</tool_call>Then <tool_call>edit\n<arg_key>old</arg_key>\n<arg_value>\n a\n</arg_value>\n</tool_call>',
    text: 'Then',
    calls: [
      { name: 'clock', arguments: '{}' },
      { name: 'edit', arguments: '{"old": "\\n a\\n"}' },
    ],
  },
  {
    name: 'Seed-OSS: thinking with its own marks, values without line breaks around them',
    shows: '<seed:think> <seed:tool_call> <function=',
    answer:
      '<seed:think>Look it up.</seed:think>\n<seed:tool_call>\n<function=weather>\n<parameter=city>Oslo</parameter>\n<parameter=days>2</parameter>\n</function>\n</seed:tool_call>',
    reasoning: 'Look it up.',
    text: '',
    calls: [{ name: 'weather', arguments: '{"city": "Oslo", "days": 2}' }],
  },
  {
    name: 'MiniMax M2: thinking, then two calls between one pair of marks',
    shows: '<think> <minimax:tool_call>',
    opens: '<think>\n',
    answer:
      'Two calls.\n</think>\n\nI look.\n<minimax:tool_call>\n<invoke name="weather">\n<parameter name="city">Oslo</parameter>\n</invoke>\n' +
      '<invoke name="edit">\n<parameter name="old">\n\ta</parameter>\n</invoke>\n</minimax:tool_call>',
    reasoning: 'Two calls.',
    text: 'I look.',
    calls: [weather('Oslo'), { name: 'edit', arguments: '{"old": "\\n\\ta"}' }],
  },
  {
    name: 'MiniMax M3: an element for each argument, nested ones inside',
    shows: ']<]minimax[>[ <tool_call>',
    answer: [
      'Sure.',
      '~<tool_call>',
      '~<invoke name="weather">~<city>12~</city>~<days>3~</days>~</invoke>',
      '~<invoke name="plan">~<stops>~<item>~<city>Oslo~</city>~</item>~<item>~<city>Rome~</city>~</item>~</stops>~</invoke>',
      '~</tool_call>',
    ]
      .join('\n')
      .replaceAll('~', ']<]minimax[>['),
    text: 'Sure.',
    calls: [
      { name: 'weather', arguments: '{"city": "12", "days": 3}' },
      { name: 'plan', arguments: '{"stops": [{"city": "Oslo"}, {"city": "Rome"}]}' },
    ],
  },
  {
    name: 'DeepSeek V3.2: tags that say what is a string',
    shows: '<think> ｜DSML｜ function_calls>',
    opens: '<think>',
    answer:
      'Hm.</think>One moment.\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="weather">\n<｜DSML｜parameter name="city" string="true">12</｜DSML｜parameter>\n' +
      '<｜DSML｜parameter name="days" string="false">3</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="clock">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    reasoning: 'Hm.',
    text: 'One moment.',
    calls: [
      { name: 'weather', arguments: '{"city": "12", "days": 3}' },
      { name: 'clock', arguments: '{}' },
    ],
  },
  {
    name: 'DeepSeek V4: the same tags under another name',
    shows: '｜DSML｜ tool_calls>',
    answer:
      '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="weather">\n<｜DSML｜parameter name="city" string="true">Oslo</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>',
    text: '',
    calls: [weather('Oslo')],
  },
  {
    name: 'Kimi K3: thinking opened by the template, a response and calls as elements',
    shows: '<|open|> <|sep|> <|close|>',
    opens: '<|open|>message role="assistant"<|sep|><|open|>think<|sep|>',
    answer:
      'Need it.<|close|>think<|sep|><|open|>response<|sep|>I look.<|close|>response<|sep|><|open|>tools<|sep|>' +
      '<|open|>call tool="weather" index="1"<|sep|><|open|>argument key="city" type="string"<|sep|>12<|close|>argument<|sep|>' +
      '<|open|>argument key="days" type="number"<|sep|>3<|close|>argument<|sep|><|close|>call<|sep|>' +
      '<|open|>call tool="clock" index="2"<|sep|><|close|>call<|sep|><|close|>tools<|sep|><|close|>message<|sep|>',
    reasoning: 'Need it.',
    text: 'I look.',
    calls: [
      { name: 'weather', arguments: '{"city": "12", "days": 3}' },
      { name: 'clock', arguments: '{}' },
    ],
  },
  {
    name: 'Kimi K3: an answer without tools',
    shows: '<|open|> <|sep|> <|close|>',
    opens: '<|open|>think<|sep|>',
    withoutTools: true,
    answer: 'Easy.<|close|>think<|sep|><|open|>response<|sep|>Seven.<|close|>response<|sep|><|close|>message<|sep|>',
    reasoning: 'Easy.',
    text: 'Seven.',
    calls: [],
  },
  {
    name: 'Nemotron Nano v2: thinking, then a list',
    shows: '<think> <TOOLCALL>',
    opens: '<think>\n\n',
    answer:
      'I should look.\n</think>\n\n<TOOLCALL>[{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "clock", "arguments": {}}]</TOOLCALL>\n',
    reasoning: 'I should look.',
    text: '',
    calls: [weather('Oslo'), { name: 'clock', arguments: '{}' }],
  },
  {
    name: 'Granite 3.3: a list without an end',
    shows: '<think> <|tool_call|>',
    answer: '<|tool_call|>[{"name": "weather", "arguments": {"city": "Oslo"}}]',
    text: '',
    calls: [weather('Oslo')],
  },
  {
    name: 'Granite 3.3: thinking and a marked response, without tools',
    shows: '<think> <|tool_call|>',
    withoutTools: true,
    answer: '<think>Add them.</think><response>It is 7.\n\nYes.</response>',
    reasoning: 'Add them.',
    text: 'It is 7.\n\nYes.',
    calls: [],
  },
  {
    name: 'Granite 4: as Hermes',
    shows: '<tool_call></tool_call> <|start_of_role|>',
    answer: '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    text: '',
    calls: [weather('Oslo')],
  },
  {
    name: 'Command R7B and A: thinking, then actions',
    shows: '<|START_THINKING|> <|START_ACTION|>',
    answer:
      '<|START_THINKING|>I will search.<|END_THINKING|><|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "weather", "parameters": {"city": "Oslo"}},\n    {"tool_call_id": "1", "tool_name": "clock", "parameters": {}}\n]<|END_ACTION|>',
    reasoning: 'I will search.',
    text: '',
    calls: [weather('Oslo'), { name: 'clock', arguments: '{}' }],
  },
  {
    name: 'Command A: a marked response',
    shows: '<|START_THINKING|> <|START_ACTION|>',
    withoutTools: true,
    answer: '<|START_RESPONSE|>Hello.<|END_RESPONSE|>',
    text: 'Hello.',
    calls: [],
  },
  {
    name: 'Gemma 4: thinking, and a call in its own notation',
    shows: '<|tool_call>call:',
    answer:
      '<|channel>thought\nI need it.<channel|>One moment.<|tool_call>call:plan{deep:{list:[1,true,null],text:<|"|>a "b", {c}<|"|>},stops:[{city:<|"|>Oslo<|"|>}]}<tool_call|>' +
      '<|tool_call>call:clock{}<tool_call|>',
    reasoning: 'I need it.',
    text: 'One moment.',
    calls: [
      {
        name: 'plan',
        arguments: '{"deep": {"list": [1, true, null], "text": "a \\"b\\", {c}"}, "stops": [{"city": "Oslo"}]}',
      },
      { name: 'clock', arguments: '{}' },
    ],
  },
  {
    name: 'Gemma 4: an answer without tools',
    shows: '<|tool_call>call:',
    opens: '<|channel>thought\n<channel|>',
    withoutTools: true,
    answer: 'Seven < eight.',
    text: 'Seven < eight.',
    calls: [],
  },
  {
    name: 'LFM2: calls as Python writes them',
    shows: '<|tool_call_start|>',
    answer:
      "Looking.<|tool_call_start|>[weather(city='St John\\'s', days=3), plan(stops=[{'city': 'Oslo'}], quick=True, note=None), clock()]<|tool_call_end|>Done.",
    text: 'Looking.Done.',
    calls: [
      { name: 'weather', arguments: '{"city": "St John\'s", "days": 3}' },
      { name: 'plan', arguments: '{"stops": [{"city": "Oslo"}], "quick": true, "note": null}' },
      { name: 'clock', arguments: '{}' },
    ],
  },
  {
    name: 'LFM2: an apostrophe that the template does not escape',
    shows: '<|tool_call_start|>',
    answer: "<|tool_call_start|>[weather(city='St John's', days=3)]<|tool_call_end|>",
    text: '',
    calls: [{ name: 'weather', arguments: '{"city": "St John\'s", "days": 3}' }],
  },
  {
    name: 'Solar Open: thinking, content and calls, a mark each',
    shows: '<|think|> <|tool_call:begin|>',
    opens: '<|begin|>assistant',
    answer:
      '<|think|>Look.<|end|><|begin|>assistant<|content|>I look.<|end|><|begin|>assistant<|tool_calls|><|tool_call:begin|>0<|tool_call:name|>weather<|tool_call:args|>{"city": "Oslo"}<|tool_call:end|><|calls|>',
    reasoning: 'Look.',
    text: 'I look.',
    calls: [weather('Oslo')],
  },
  {
    name: 'Functionary 3.2: text for all, then two calls',
    shows: '>>>all',
    opens: '>>>',
    answer: 'all\nI look it up: 1 >>> 0.\n>>>weather\n{"city": "Oslo"}>>>clock\n{}',
    text: 'I look it up: 1 >>> 0.',
    calls: [weather('Oslo'), { name: 'clock', arguments: '{}' }],
  },
  {
    name: 'Functionary 3.1: named tags around JSON',
    shows: '<function= </function>',
    answer: 'I look.<function=weather>{"city": "Oslo"}</function><function=clock>{}</function>',
    text: 'I look.',
    calls: [weather('Oslo'), { name: 'clock', arguments: '{}' }],
  },
  {
    name: 'a cut inside a call’s mark, its name or its arguments leaves no markup',
    shows: '<tool_call>',
    cut: true,
    answer: 'I look.\n<tool_call>\n{"name": "wea',
    text: 'I look.',
    calls: [],
  },
  {
    name: 'a cut in the middle of a mark',
    shows: '<tool_call>',
    cut: true,
    answer: 'I look.\n<tool_ca',
    text: 'I look.',
    calls: [],
  },
  {
    name: 'a cut inside an argument’s tag',
    shows: '<tool_call> <function=',
    cut: true,
    answer: '<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n1',
    text: '',
    calls: [{ name: 'weather', arguments: '{"city": "Oslo"' }],
  },
  {
    name: 'a cut inside an answer in JSON that is no call',
    shows: '<|python_tag|>',
    cut: true,
    answer: '{"title": "Oslo", "pa',
    text: '{"title": "Oslo", "pa',
    calls: [],
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
  {
    name: 'edit',
    description: undefined,
    parameters: {
      type: 'object',
      properties: {
        old: { type: 'string' },
        new: { $ref: '#/$defs/text' },
        unit: { enum: ['celsius', 'kelvin'] },
        note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
        all: { type: 'boolean' },
      },
      $defs: { text: { type: 'string' } },
    },
    strict: false,
  },
  {
    name: 'plan',
    description: undefined,
    parameters: {
      type: 'object',
      properties: {
        stops: { type: 'array', items: { type: 'object', properties: { city: { type: 'string' } } } },
        deep: { type: 'object' },
      },
    },
    strict: false,
  },
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
  return assemble([...parts.flatMap((part) => parser.push(part)), ...parser.end(transcript.cut)])
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
