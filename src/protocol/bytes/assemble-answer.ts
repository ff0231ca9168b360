import { SseReader } from '../sse-reader.ts'
import { streamError } from './upstream-error.ts'
import { emptyStream, readEventFailure } from './upstream-failure.ts'

/** A body of server-sent events, where one JSON object was asked for: some providers stream whatever `stream` says. */
export function isEventStream(bytes: Buffer): boolean {
  return /^(?:data|event|id|retry)?:/.test(bytes.toString('latin1', 0, 8).trimStart())
}

/** The whole answer that a stream of chunks makes, as its API would have sent it. Throws the failure that it may hold. */
export function assembleAnswer(bytes: Buffer, endpoint: string): Buffer {
  const reader = new SseReader({ maxEventBytes: bytes.length })
  const answer: Answer = { choices: [] }
  const take = (data: string, event: string | undefined): void => {
    if (data === '[DONE]') return
    const value = parse(data)
    const failure = readEventFailure(value, event)
    if (failure !== undefined) throw streamError(endpoint, failure)
    addChunk(answer, value as Chunk)
  }
  // The last event may lack its blank line.
  for (const piece of [bytes, Buffer.from('\n\n')]) reader.push(piece, ({ data, event }) => take(data, event))
  if (answer.choices.length === 0) throw streamError(endpoint, emptyStream)
  return Buffer.from(JSON.stringify(answer))
}

interface Answer {
  [field: string]: unknown
  choices: Choice[]
}

interface Choice {
  [field: string]: unknown
  index: number
}

interface Chunk {
  readonly [field: string]: unknown
  readonly choices?: readonly ChunkChoice[] | null
}

interface ChunkChoice {
  readonly [field: string]: unknown
  readonly index?: number
  readonly delta?: Readonly<Record<string, unknown>> | null
}

function addChunk(answer: Answer, { choices, ...fields }: Chunk): void {
  for (const [name, value] of Object.entries(fields)) {
    if (value === null && name in answer) continue
    answer[name] = name === 'object' && typeof value === 'string' ? value.replace('.chunk', '') : value
  }
  for (const { index = 0, delta, ...rest } of choices ?? []) {
    let choice = answer.choices.find((each) => each.index === index)
    if (choice === undefined) answer.choices.push((choice = { index }))
    mergeInto(choice, delta === undefined || delta === null ? rest : { ...rest, message: delta })
  }
}

/** Texts are joined, lists too; members of lists with an `index` (tool calls) are one by that; other values are the last. */
function mergeInto(target: Record<string, unknown>, source: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(source)) {
    const known = target[name]
    if (value === null || value === undefined) target[name] ??= value
    else if (typeof value === 'string' && typeof known === 'string' && !identities.has(name))
      target[name] = known + value
    else if (Array.isArray(value)) target[name] = mergeLists(Array.isArray(known) ? known : [], value)
    else if (isRecord(value)) {
      const merged = isRecord(known) ? { ...known } : {}
      mergeInto(merged, value)
      target[name] = merged
    } else target[name] = value
  }
}

const identities: ReadonlySet<string> = new Set(['role', 'id', 'type', 'name', 'finish_reason', 'stop_reason'])

function mergeLists(known: readonly unknown[], more: readonly unknown[]): unknown[] {
  const merged = [...known]
  for (const each of more) {
    const at = isRecord(each) && typeof each['index'] === 'number' ? each['index'] : merged.length
    const before = merged[at]
    if (isRecord(before) && isRecord(each)) {
      const joined = { ...before }
      mergeInto(joined, each)
      merged[at] = joined
    } else merged.push(each)
  }
  return merged
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}
