import type { CallConvention, CallParts } from './answer/call-convention.ts'
import { generic } from './answer/families.ts'
import { createMarkedReader } from './answer/call-readers.ts'
import { createSectionReader } from './answer/section-call.ts'
import type { ProbeMessage } from './template-probe.ts'

const first = 'xFIRSTx'
const second = 'xSECONDx'
const key = 'xKEYx'

/**
 * How a template that belongs to no known family writes the calls of earlier turns: what its model was taught, in all
 * likelihood. Undefined where it writes none, or not with marks that text would not have.
 *
 *   turn | lead  name  middle  {arguments} … join … name middle {arguments} tail | end of turn
 *
 * `render` gives '' for messages that the template refuses.
 */
export function inferConvention(render: (messages: readonly ProbeMessage[]) => string): CallConvention | undefined {
  const conversation = (message: object): string =>
    render([
      { role: 'user', content: 'hello' },
      { role: 'assistant', ...message },
    ])
  const call = (name: string, args: unknown): object => ({
    id: 'call00001',
    type: 'function',
    function: { name, arguments: args },
  })
  const spoken = conversation({ content: 'xTEXTx' })
  for (const args of [{ [key]: 'value' }, JSON.stringify({ [key]: 'value' })]) {
    for (const content of ['', null]) {
      const one = conversation({ content, tool_calls: [call(first, args)] })
      const two = conversation({ content, tool_calls: [call(first, args), call(second, args)] })
      const found = partsOf(spoken, one, two)
      const convention = found && conventionShown(found)
      if (convention !== undefined) return convention
    }
  }
  return undefined
}

/** The convention that the parts belong to; undefined where they have no marks that text would not have. */
export function conventionShown(parts: CallParts): CallConvention | undefined {
  const convention = listConvention(parts) ?? sectionConvention(parts)
  return convention && { ...convention, shown: parts }
}

function partsOf(spoken: string, one: string, two: string): CallParts | undefined {
  const nameAt = one.indexOf(first)
  const args = nameAt < 0 ? undefined : argumentsAfter(one, nameAt + first.length)
  if (args === undefined) return undefined
  const turnAt = commonStart(spoken, one)
  const turnEnd = Math.min(commonEnd(spoken, one), one.length - args.end)
  const firstInTwo = two.indexOf(first)
  const firstArgs = firstInTwo < 0 ? undefined : argumentsAfter(two, firstInTwo + first.length)
  const secondAt = two.indexOf(second)
  const joined = firstArgs !== undefined && secondAt > firstArgs.end
  return {
    lead: one.slice(Math.min(turnAt, nameAt), nameAt).trimStart(),
    middle: one.slice(nameAt + first.length, args.start),
    tail: one.slice(args.end, one.length - turnEnd).trimEnd(),
    join: joined ? two.slice(firstArgs.end, secondAt) : undefined,
  }
}

/** The JSON object of the arguments behind the name. */
function argumentsAfter(text: string, from: number): { readonly start: number; readonly end: number } | undefined {
  const keyAt = text.indexOf(`"${key}"`, from)
  const start = keyAt < 0 ? -1 : text.lastIndexOf('{', keyAt)
  const end = start < from ? -1 : text.indexOf('}', keyAt)
  return end < 0 ? undefined : { start, end: end + 1 }
}

/** Calls as JSON objects, one or a list, between marks. */
function listConvention({ lead, middle, tail, join }: CallParts): CallConvention | undefined {
  const opened = /^([^]*?)(\[?\s*)(\{\s*"(?:type": ?"function", ?")?(?:name|function|tool_name)"\s*:\s*")$/.exec(lead)
  const closed = /^\s*\}\s*(\]?)([^]*)$/.exec(tail)
  if (opened === null || closed === null || !/^"\s*,\s*"(?:arguments|parameters|args)"\s*:\s*$/.test(middle))
    return undefined
  const [, mark = '', bracket = '', head = ''] = opened
  const close = (closed[2] ?? '').trim()
  if (!isMark(mark)) return undefined
  const before = (name: string): string => head + JSON.stringify(name).slice(1, -1) + middle
  const each = join?.includes(mark.trim()) === true
  return {
    ...generic,
    name: 'template-list',
    templateShowsTools: true,
    reader: createMarkedReader({ open: mark.trim(), close: close === '' ? undefined : close, tags: undefined }),
    specialTexts: close === '' ? [mark.trim()] : [mark.trim(), close],
    syntax: {
      ...generic.syntax,
      open: each ? '' : mark + bracket,
      before: (name) => (each ? mark + bracket : '') + before(name),
      after: each ? tail : '}',
      between: join === undefined ? undefined : each ? '\n' : ', ',
      close: each ? '' : tail.replace(/^\s*\}/, ''),
      trigger: mark.trim(),
    },
  }
}

/** Calls as a name and a JSON object, with marks before, between and behind. */
function sectionConvention({ lead, middle, tail, join }: CallParts): CallConvention | undefined {
  // What stands before each call, and what before the first alone: whole marks, for neighbours may share letters.
  const own =
    join === undefined
      ? lead
      : lead
          .slice(lead.length - commonEnd(lead, join))
          .replace(/^[^<[]*(?=[<[])/, '')
          .trimStart()
  const section = lead.slice(0, lead.length - own.length).trim()
  const after = join === undefined ? tail : tail.slice(0, commonStart(tail, join)).replace(/(?<=[>\]])[^>\]]*$/, '')
  const close = tail.slice(after.length).trim()
  const separator = middle.trim()
  if (!isMark(own) || !isMark(separator) || after === '') return undefined
  const marks = {
    sectionBegin: section === '' ? own : section,
    sectionEnd: close === '' ? after : close,
    callBegin: own,
    separator,
    callEnd: after,
  }
  return {
    ...generic,
    name: 'template-section',
    templateShowsTools: true,
    reader: createSectionReader(marks),
    specialTexts: [...new Set(Object.values(marks))],
    syntax: {
      ...generic.syntax,
      open: section,
      before: (name) => own + name + middle,
      after,
      between: join === undefined ? undefined : '',
      close,
      trigger: marks.sectionBegin,
    },
  }
}

/** Whether text would not have it by chance: `<call>`, `[[`, `<|x|>`. */
function isMark(text: string): boolean {
  return text.trim().length >= 3 && /[^\w\s"',.:{}()-]/.test(text)
}

function commonStart(one: string, other: string): number {
  let length = 0
  while (length < Math.min(one.length, other.length) && one[length] === other[length]) length += 1
  return length
}

function commonEnd(one: string, other: string): number {
  let length = 0
  while (length < Math.min(one.length, other.length) && one.at(-1 - length) === other.at(-1 - length)) length += 1
  return length
}
