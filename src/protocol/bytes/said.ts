/** What a client has read of a stream: the text, and the identity that the rest has to keep. */
export interface Said {
  readonly id: string
  /** Seconds since the Unix epoch. */
  readonly created: number
  readonly text: string
}

interface Chunk {
  readonly id?: unknown
  readonly created?: unknown
  readonly choices?: readonly {
    readonly text?: unknown
    readonly finish_reason?: unknown
    readonly delta?: Readonly<Record<string, unknown>>
  }[]
}

/**
 * Parses the frames of a stream that went out, to continue it. Undefined where more than plain text is in them (thinking,
 * tool calls, a second choice) or where it had already ended.
 */
export function readSaid(frames: Buffer): Said | undefined {
  let id = ''
  let created = 0
  let text = ''
  for (const line of frames.toString('utf8').split('\n')) {
    if (!line.startsWith('data:') || line.includes('[DONE]')) continue
    let chunk: Chunk
    try {
      chunk = JSON.parse(line.slice(5)) as Chunk
    } catch {
      return undefined
    }
    if (id === '' && typeof chunk.id === 'string') id = chunk.id
    if (created === 0 && typeof chunk.created === 'number') created = chunk.created
    const choices = chunk.choices ?? []
    if (choices.length > 1) return undefined
    const [choice] = choices
    if (choice === undefined) continue
    if (typeof choice.finish_reason === 'string') return undefined
    if (notText.some((field) => isPresent(choice.delta?.[field]))) return undefined
    const piece = choice.delta?.['content'] || choice.text
    if (typeof piece === 'string') text += piece
    else if (isPresent(piece)) return undefined
  }
  return text === '' ? undefined : { id, created, text }
}

const notText = [
  'reasoning',
  'reasoning_content',
  'reasoning_details',
  'tool_calls',
  'function_call',
  'refusal',
  'audio',
] as const

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0)
}
