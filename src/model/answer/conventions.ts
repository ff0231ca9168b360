import {
  createSectionReader,
  deepseekMarks,
  kimiMarks,
  readLlama,
  readMistral,
  readTagged,
  type AnswerReader,
  type SectionMarks,
} from './call-readers.ts'
import { readHarmony } from './harmony.ts'
import { glmTags, qwenTags, type TaggedStyle } from './tagged-call.ts'

/** How a family of models writes calls: to read its answers, to constrain them, and to tell it of tools. */
export interface CallConvention {
  readonly name: string
  readonly reader: AnswerReader
  /** The family's syntax is around every answer, so that answers without tools must be read by it, too. */
  readonly always: boolean
  /** The family's templates show the tools to the model; where one does not, or none is known, we do. */
  readonly templateShowsTools: boolean
  /** Special tokens that the reader needs to see. */
  readonly specialTexts: readonly string[]
  /**
   * What the family's templates insist on in the identifiers of calls: Mistral on nine letters or digits, Kimi on
   * name and number.
   */
  readonly callIds?: 'nineLetters' | 'numbered'
  readonly syntax: CallSyntax
}

/**
 * The canonical text of calls, for grammars and for telling a model how to call:
 *
 *   open  before(f) arguments after   between   before(g) arguments after   close
 */
export interface CallSyntax {
  readonly open: string
  before(name: string): string
  readonly after: string
  /** Between two calls; undefined where the family makes one call an answer. */
  readonly between: string | undefined
  readonly close: string
  /** Arguments as a tag each; undefined: as JSON. */
  readonly tags: TaggedStyle | undefined
  /**
   * Text whose appearance in an answer says that calls begin, and that everything from it on is bound to them.
   * Part of `open` or `before`.
   */
  readonly trigger: string
  /** The trigger counts only as the first text of the answer. */
  readonly triggersOnlyAtStart: boolean
  /** What stands in front of an answer that is no call. */
  readonly textOpen: string
}

/** The convention that a chat template belongs to. Every template has one. */
export function conventionOf(template: string): CallConvention {
  if (template.includes('<|channel|>') && template.includes('<|message|>')) return harmony
  if (template.includes(deepseekMarks.callBegin)) return template.includes('```json') ? deepseekFenced : deepseek
  if (template.includes(kimiMarks.callBegin)) return kimi
  if (template.includes('[TOOL_CALLS]')) return template.includes('[ARGS]') ? mistral : mistralList
  if (template.includes('<tool_call>')) return taggedOf(template)
  if (template.includes('"parameters": dictionary of argument name') || template.includes('<|python_tag|>'))
    return llama
  return generic
}

function taggedOf(template: string): CallConvention {
  if (template.includes('<function=')) return qwenTagged
  return template.includes('<arg_key>') ? glm : hermes
}

const plain = { close: '', open: '', tags: undefined, triggersOnlyAtStart: false, textOpen: '' } as const

const hermes: CallConvention = {
  name: 'hermes',
  reader: readTagged,
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
const generic: CallConvention = { ...hermes, name: 'generic', templateShowsTools: false }

const qwenTagged: CallConvention = {
  ...hermes,
  name: 'qwen-tags',
  syntax: {
    ...hermes.syntax,
    before: (name) => `<tool_call>\n<function=${name}>\n`,
    after: '</function>\n</tool_call>',
    tags: qwenTags,
  },
}

const glm: CallConvention = {
  ...hermes,
  name: 'glm-tags',
  specialTexts: [...hermes.specialTexts, '<arg_key>', '</arg_key>', '<arg_value>', '</arg_value>'],
  syntax: { ...hermes.syntax, before: (name) => `<tool_call>${name}\n`, after: '</tool_call>', tags: glmTags },
}

const mistral: CallConvention = {
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

const mistralList: CallConvention = {
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

const llama: CallConvention = {
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

const harmony: CallConvention = {
  name: 'harmony',
  reader: readHarmony,
  always: true,
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

const deepseek = sectioned('deepseek', deepseekMarks, {
  before: (name) => `${deepseekMarks.callBegin}${name}${deepseekMarks.separator}`,
  after: deepseekMarks.callEnd,
})

const deepseekFenced = sectioned('deepseek-fenced', deepseekMarks, {
  before: (name) => `${deepseekMarks.callBegin}function${deepseekMarks.separator}${name}\n\`\`\`json\n`,
  after: `\n\`\`\`${deepseekMarks.callEnd}`,
})

const kimi: CallConvention = {
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
    specialTexts: Object.values(marks) as string[],
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
