import { createMarkedReader, readLlama, readMistral } from './call-readers.ts'
import type { CallConvention } from './call-convention.ts'
import { readElements } from './element-call.ts'
import { readFunctionary } from './functionary.ts'
import { readGemma } from './gemma-call.ts'
import { readHarmony } from './harmony.ts'
import { readKeywords } from './keyword-call.ts'
import { createSectionReader, deepseekMarks, kimiMarks, type SectionMarks } from './section-call.ts'
import { deepseekTags, glmTags, kimiTags, minimaxTags, qwenTags, seedTags, type TaggedStyle } from './tagged-call.ts'

const json = { kind: 'json' } as const
const plain = {
  close: '',
  open: '',
  arguments: json,
  triggersOnlyAtStart: false,
  textOpen: '',
  textClose: '',
} as const

export const hermes: CallConvention = {
  name: 'hermes',
  reader: createMarkedReader({ open: '<tool_call>', close: '</tool_call>', tags: undefined }),
  always: false,
  templateShowsTools: true,
  specialTexts: ['<tool_call>', '</tool_call>'],
  syntax: {
    ...plain,
    before: (name) => `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": `,
    after: '}\n</tool_call>',
    between: '\n',
    trigger: '<tool_call>',
  },
}

/** For models that were taught no convention, or one that is not known here: they are told the simplest. */
export const generic: CallConvention = { ...hermes, name: 'generic', templateShowsTools: false }

export const qwenTagged: CallConvention = {
  ...hermes,
  name: 'qwen-tags',
  reader: createMarkedReader({ open: '<tool_call>', close: '</tool_call>', tags: qwenTags }),
  syntax: {
    ...hermes.syntax,
    before: (name) => `<tool_call>\n<function=${name}>\n`,
    after: '</function>\n</tool_call>',
    arguments: { kind: 'tags', tags: qwenTags },
  },
}

export const glm: CallConvention = {
  ...hermes,
  name: 'glm-tags',
  reader: createMarkedReader({ open: '<tool_call>', close: '</tool_call>', tags: glmTags }),
  specialTexts: [...hermes.specialTexts, '<arg_key>', '</arg_key>', '<arg_value>', '</arg_value>'],
  syntax: {
    ...hermes.syntax,
    before: (name) => `<tool_call>${name}\n`,
    after: '</tool_call>',
    arguments: { kind: 'tags', tags: glmTags },
  },
}

export const seed: CallConvention = {
  ...tagged('seed-tags', seedTags, '<seed:tool_call>', '</seed:tool_call>'),
  syntax: {
    ...plain,
    before: (name) => `<seed:tool_call>\n<function=${name}>\n`,
    after: '</function>\n</seed:tool_call>',
    between: '\n',
    arguments: { kind: 'tags', tags: seedTags },
    trigger: '<seed:tool_call>',
  },
}

export const minimax = tagged('minimax-tags', minimaxTags, '<minimax:tool_call>', '</minimax:tool_call>')
export const deepseekV32 = tagged(
  'deepseek-tags',
  deepseekTags,
  '<｜DSML｜function_calls>',
  '</｜DSML｜function_calls>',
)
export const deepseekV4 = tagged('deepseek-v4-tags', deepseekTags, '<｜DSML｜tool_calls>', '</｜DSML｜tool_calls>')

/** Kimi K3: every part of an answer is an element of special tokens. */
export const kimiTagged: CallConvention = {
  name: 'kimi-tags',
  reader: createMarkedReader({
    open: '<|open|>tools<|sep|>',
    close: '<|close|>tools<|sep|>',
    tags: kimiTags,
    dropped: ['<|open|>response<|sep|>', '<|close|>response<|sep|>', '<|close|>message<|sep|>', '<|end_of_msg|>'],
  }),
  always: true,
  thinking: { open: '<|open|>think<|sep|>', close: '<|close|>think<|sep|>' },
  templateShowsTools: true,
  specialTexts: ['<|open|>', '<|sep|>', '<|close|>'],
  syntax: {
    open: '<|open|>tools<|sep|>',
    before: (name) => `<|open|>call tool="${name}" index="1"<|sep|>`,
    after: '<|close|>call<|sep|>',
    between: '',
    close: '<|close|>tools<|sep|>',
    arguments: { kind: 'tags', tags: kimiTags },
    trigger: '<|open|>tools<|sep|>',
    triggersOnlyAtStart: false,
    textOpen: '<|open|>response<|sep|>',
    textClose: '<|close|>response<|sep|>',
  },
}

export const minimaxElements: CallConvention = {
  name: 'minimax-elements',
  reader: readElements,
  always: false,
  templateShowsTools: true,
  specialTexts: [']<]minimax[>['],
  syntax: {
    ...plain,
    open: ']<]minimax[>[<tool_call>\n',
    before: (name) => `]<]minimax[>[<invoke name="${name}">`,
    after: ']<]minimax[>[</invoke>\n',
    between: '',
    close: ']<]minimax[>[</tool_call>',
    arguments: { kind: 'elements' },
    trigger: ']<]minimax[>[<tool_call>',
  },
}

export const nemotron = listed('nemotron-list', '<TOOLCALL>', '</TOOLCALL>', [])
export const apriel = listed('apriel-list', '<tool_calls>', '</tool_calls>', [])
export const phi = listed('phi-list', '<|tool_call|>', '<|/tool_call|>', [])
export const granite = listed('granite-list', '<|tool_call|>', undefined, ['<response>', '</response>'])

const commandTexts = ['<|START_RESPONSE|>', '<|END_RESPONSE|>', '<|START_TEXT|>', '<|END_TEXT|>']
const commandList = listed('command-list', '<|START_ACTION|>', '<|END_ACTION|>', commandTexts)
export const command: CallConvention = {
  ...commandList,
  syntax: {
    ...commandList.syntax,
    before: (name) => `{"tool_call_id": "0", "tool_name": ${JSON.stringify(name)}, "parameters": `,
    textOpen: '<|START_RESPONSE|>',
    textClose: '<|END_RESPONSE|>',
  },
}

export const mistral: CallConvention = {
  name: 'mistral',
  reader: readMistral,
  always: false,
  templateShowsTools: true,
  specialTexts: ['[TOOL_CALLS]', '[ARGS]', '[CALL_ID]'],
  callIds: 'nineLetters',
  syntax: {
    ...plain,
    before: (name) => `[TOOL_CALLS]${name}[ARGS]`,
    after: '',
    between: '',
    trigger: '[TOOL_CALLS]',
  },
}

export const mistralList: CallConvention = {
  ...mistral,
  name: 'mistral-list',
  syntax: {
    ...plain,
    open: '[TOOL_CALLS][',
    before: (name) => `{"name": ${JSON.stringify(name)}, "arguments": `,
    after: '}',
    between: ', ',
    close: ']',
    trigger: '[TOOL_CALLS]',
  },
}

export const llama: CallConvention = {
  name: 'llama',
  reader: readLlama,
  always: false,
  templateShowsTools: true,
  specialTexts: ['<|python_tag|>'],
  syntax: {
    ...plain,
    before: (name) => `{"name": ${JSON.stringify(name)}, "parameters": `,
    after: '}',
    between: undefined,
    trigger: '{"name": "',
    triggersOnlyAtStart: true,
  },
}

export const harmony: CallConvention = {
  name: 'harmony',
  reader: readHarmony,
  always: true,
  thinking: 'read',
  templateShowsTools: true,
  specialTexts: ['<|start|>', '<|channel|>', '<|message|>', '<|constrain|>', '<|end|>', '<|call|>', '<|return|>'],
  syntax: {
    ...plain,
    before: (name) => `<|channel|>commentary to=functions.${name} <|constrain|>json<|message|>`,
    // `<|call|>` follows, and is one of the vocabulary's tokens that end the generation.
    after: '',
    between: undefined,
    trigger: '<|channel|>commentary to=functions.',
    textOpen: '<|channel|>final<|message|>',
  },
}

/** Functionary 3.2: a recipient on a line of its own, then the text or the arguments. The template writes the first `>>>`. */
export const functionary: CallConvention = {
  name: 'functionary',
  reader: readFunctionary,
  always: true,
  templateShowsTools: true,
  specialTexts: [],
  syntax: {
    ...plain,
    before: (name) => `${name}\n`,
    after: '',
    between: '>>>',
    trigger: undefined,
    textOpen: 'all\n',
  },
}

/** Functionary 3.1, and what Llama 3.1 calls custom tools. */
export const functionaryTags: CallConvention = {
  ...hermes,
  name: 'functionary-tags',
  reader: createMarkedReader({ open: '<tool_call>', close: undefined, tags: qwenTags }),
  specialTexts: ['<function=', '</function>'],
  syntax: {
    ...plain,
    before: (name) => `<function=${name}>`,
    after: '</function>',
    between: '',
    trigger: '<function=',
  },
}

export const gemma: CallConvention = {
  name: 'gemma',
  reader: readGemma,
  always: true,
  thinking: { open: '<|channel>thought\n', close: '<channel|>' },
  templateShowsTools: true,
  specialTexts: ['<|channel>', '<channel|>', '<|tool_call>', '<tool_call|>', '<|"|>'],
  syntax: {
    ...plain,
    before: (name) => `<|tool_call>call:${name}`,
    after: '<tool_call|>',
    between: '',
    arguments: { kind: 'gemma' },
    trigger: '<|tool_call>',
  },
}

export const lfm: CallConvention = {
  name: 'lfm-keywords',
  reader: readKeywords,
  always: false,
  templateShowsTools: true,
  specialTexts: ['<|tool_call_start|>', '<|tool_call_end|>'],
  syntax: {
    ...plain,
    open: '<|tool_call_start|>[',
    before: (name) => `${name}(`,
    after: ')',
    between: ', ',
    close: ']<|tool_call_end|>',
    arguments: { kind: 'keywords' },
    trigger: '<|tool_call_start|>',
  },
}

/** Solar Open: parts begin with a mark each, and end with `<|end|>`. */
const solarMarks: SectionMarks = {
  sectionBegin: '<|tool_calls|>',
  sectionEnd: '<|calls|>',
  callBegin: '<|tool_call:begin|>',
  nameBegin: '<|tool_call:name|>',
  separator: '<|tool_call:args|>',
  callEnd: '<|tool_call:end|>',
  dropped: ['<|begin|>assistant', '<|content|>', '<|end|>', '<|flush|>'],
}

export const solar: CallConvention = {
  ...sectioned('solar', solarMarks, {
    before: (name) => `<|tool_call:begin|>0<|tool_call:name|>${name}<|tool_call:args|>`,
    after: '<|tool_call:end|>',
  }),
  always: true,
  thinking: { open: '<|think|>', close: '<|end|>' },
}

export const deepseek = sectioned('deepseek', deepseekMarks, {
  before: (name) => `${deepseekMarks.callBegin}${name}${deepseekMarks.separator}`,
  after: deepseekMarks.callEnd,
})

export const deepseekFenced = sectioned('deepseek-fenced', deepseekMarks, {
  before: (name) => `${deepseekMarks.callBegin}function${deepseekMarks.separator}${name}\n\`\`\`json\n`,
  after: `\n\`\`\`${deepseekMarks.callEnd}`,
})

export const kimi: CallConvention = {
  ...sectioned('kimi', kimiMarks, {
    before: (name) => `${kimiMarks.callBegin}functions.${name}:0${kimiMarks.separator}`,
    after: kimiMarks.callEnd,
  }),
  callIds: 'numbered',
}

function sectioned(
  name: string,
  marks: SectionMarks,
  call: { before(this: void, name: string): string; readonly after: string },
): CallConvention {
  return {
    name,
    reader: createSectionReader(marks),
    always: false,
    templateShowsTools: true,
    specialTexts: Object.values(marks).flat() as string[],
    syntax: {
      ...plain,
      ...call,
      open: marks.sectionBegin,
      between: '',
      close: marks.sectionEnd,
      trigger: marks.sectionBegin,
    },
  }
}

/** Several calls of tags between one pair of marks. */
function tagged(name: string, tags: TaggedStyle, open: string, close: string): CallConvention {
  return {
    name,
    reader: createMarkedReader({ open, close, tags }),
    always: false,
    templateShowsTools: true,
    specialTexts: [open, close, '｜DSML｜'],
    syntax: {
      ...plain,
      open: `${open}\n`,
      before: (tool) => `${tags.nameOpen}${tool}${tags.nameClose}\n`,
      after: `${tags.end}\n`,
      between: '',
      close,
      arguments: { kind: 'tags', tags },
      trigger: open,
    },
  }
}

/** A list of JSON calls between marks. */
function listed(name: string, open: string, close: string | undefined, dropped: readonly string[]): CallConvention {
  return {
    name,
    reader: createMarkedReader({ open, close, tags: undefined, dropped }),
    always: dropped.length > 0,
    templateShowsTools: true,
    specialTexts: [open, ...(close === undefined ? [] : [close]), ...dropped],
    syntax: {
      ...plain,
      open: `${open}[`,
      before: (tool) => `{"name": ${JSON.stringify(tool)}, "arguments": `,
      after: '}',
      between: ', ',
      close: `]${close ?? ''}`,
      trigger: open,
    },
  }
}
