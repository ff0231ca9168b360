import type { Backend, BackendShape, Chunk, Row, Sampler, SamplerSpec } from '../../src/engine/child/backend.ts'

/**
 * A model whose next token is a hash of all tokens before it, so that one wrong, missing or stale KV cell changes all
 * that follows. Cells are objects: `streams` copies them, `unified` shares them.
 */
export class FakeBackend implements Backend {
  readonly shape: BackendShape
  readonly contents: Cell[][]
  readonly #shared: boolean
  samplers = 0
  decoded = 0
  switches = 0
  #adapter = 0
  #chunks: readonly Chunk[] = []
  readonly #logits: Float32Array
  onDecode: (tokens: number) => void = () => {}
  readonly batches: { readonly streams: number[]; readonly tokens: number }[] = []

  constructor(shape: Partial<BackendShape>, layout: 'streams' | 'unified' = 'streams') {
    this.shape = {
      streams: 4,
      sequenceCells: 64,
      cells: 256,
      batchTokens: 64,
      vocabulary: 50,
      wantsDenseStreams: layout === 'streams',
      reuse: 'any',
      ...shape,
    }
    this.#shared = layout === 'unified'
    this.#logits = new Float32Array(this.shape.vocabulary)
    this.contents = Array.from({ length: this.shape.streams }, () => [])
  }

  usedCells(): number {
    return new Set(this.contents.flat()).size
  }

  decode(chunks: readonly Chunk[], adapter: number): 'computed' | 'full' {
    if (adapter !== this.#adapter) this.switches += 1
    this.#adapter = adapter
    const count = chunks.reduce((sum, chunk) => sum + chunk.count, 0)
    if (count > this.shape.batchTokens) throw new Error('A pass has outgrown the batch.')
    if (this.usedCells() + count > this.shape.cells) return 'full'
    let previous = -1
    for (const { stream, tokens, from, count } of chunks) {
      const content = this.contents[stream]
      if (content === undefined || from !== content.length) throw new Error('Positions are not consecutive.')
      if (stream <= previous) throw new Error('Streams do not ascend.')
      if (content.length + count > this.shape.sequenceCells) throw new Error('A sequence has outgrown its cells.')
      previous = stream
      if (content.some((cell) => cell.adapter !== adapter)) throw new Error('Cells of two adapters mix.')
      for (const token of tokens.subarray(from, from + count)) content.push({ token, adapter })
    }
    this.#chunks = chunks
    this.batches.push({ streams: chunks.map(({ stream }) => stream), tokens: count })
    this.onDecode(count)
    this.decoded += count
    return 'computed'
  }

  rowOf(chunk: number, at: number): Row {
    return chunk * 1000 + at
  }

  /** One row for all: what the loop forbids stands in it while it samples. */
  logits(): Float32Array {
    return this.#logits
  }

  createSampler(spec: SamplerSpec): Sampler {
    this.samplers += 1
    return {
      sample: (row) => {
        const chunk = this.#chunks[Math.floor(row / 1000)]
        if (chunk === undefined || chunk.logits === 'none' || row % 1000 !== chunk.count - 1)
          throw new Error('A row without logits is sampled.')
        const content = this.contents[chunk.stream] ?? []
        const tokens = content.map((cell) => cell.token)
        let token = nextToken(tokens, spec.seed + this.#adapter * 1000)
        while (this.#logits[token] === -Infinity) token += 1
        return token
      },
      free: () => {
        this.samplers -= 1
      },
    }
  }

  copy(from: number, to: number, length: number): boolean {
    const source = this.contents[from] ?? []
    if (this.shape.reuse === 'whole' && source.length !== length) throw new Error('A state is cut that cannot be.')
    this.contents[to] = source.slice(0, length).map((cell) => (this.#shared ? cell : Object.assign({}, cell)))
    return true
  }

  truncate(stream: number, length: number): boolean {
    if (this.shape.reuse === 'whole') throw new Error('A state is cut that cannot be.')
    this.contents[stream]?.splice(length)
    return true
  }

  clear(stream: number): void {
    this.contents[stream] = []
  }

  swap(one: number, other: number): void {
    const [first, second] = [this.contents[one] ?? [], this.contents[other] ?? []]
    this.contents[one] = second
    this.contents[other] = first
  }

  isWhole(): boolean {
    return true
  }
}

interface Cell {
  readonly token: number
  readonly adapter: number
}

export const endToken = 0

export function nextToken(tokens: readonly number[], seed: number): number {
  let hash = seed + 17
  for (const token of tokens) hash = (Math.imul(hash, 31) + token + 7) >>> 0
  return (hash >>> 3) % 50
}
