import type { Vocabulary } from '../backend.ts'
import { call, type LlamaModel } from './llama-model.ts'

/** Tokens to text and back. Pieces are asked for once and remembered. */
export class LlamaVocabulary implements Vocabulary {
  readonly #model: LlamaModel
  readonly #plain = new Map<number, Uint8Array>()
  readonly #special = new Map<number, Uint8Array>()
  readonly #ends = new Map<number, boolean>()
  readonly #bos: number
  /** The token that begins every prompt; undefined where the model was trained without one. */
  readonly begin: number | undefined

  constructor(model: LlamaModel) {
    this.#model = model
    this.#bos = Number(call(model.library.llama['llama_vocab_bos'], model.vocabulary))
    this.begin = this.marks().begin
  }

  /** Tokens in all. */
  get size(): number {
    return this.#model.facts.vocabularySize
  }

  piece(token: number, special: boolean): Uint8Array {
    const known = special ? this.#special : this.#plain
    let bytes = known.get(token)
    if (bytes === undefined) {
      bytes = this.#readPiece(token, special)
      known.set(token, bytes)
    }
    return bytes
  }

  isEndOfGeneration(token: number): boolean {
    let ends = this.#ends.get(token)
    if (ends === undefined) {
      ends = call(this.#model.library.llama['llama_vocab_is_eog'], this.#model.vocabulary, token) as boolean
      this.#ends.set(token, ends)
    }
    return ends
  }

  /** A template may write the beginning-of-sequence token itself: it is never there twice. */
  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Int32Array {
    const bytes = new TextEncoder().encode(text)
    const room = new Int32Array(bytes.length + 2)
    const count = Number(
      call(
        this.#model.library.llama['llama_tokenize'],
        this.#model.vocabulary,
        bytes,
        bytes.length,
        room,
        room.length,
        addSpecial,
        parseSpecial,
      ),
    )
    if (count < 0) throw new Error(`libllama wants ${-count} places for the tokens of ${bytes.length} bytes.`)
    const doubled = addSpecial && count > 1 && room[0] === this.#bos && room[1] === this.#bos
    return room.slice(doubled ? 1 : 0, count)
  }

  isControl(token: number): boolean {
    return call(this.#model.library.llama['llama_vocab_is_control'], this.#model.vocabulary, token) as boolean
  }

  /** Tokens that stand around and between two texts where no template says more. Undefined: none stands there. */
  marks(): {
    readonly begin: number | undefined
    readonly end: number | undefined
    readonly between: number | undefined
  } {
    const { library, vocabulary } = this.#model
    const ask = (name: string) => Number(call(library.llama[`llama_vocab_${name}`], vocabulary))
    const [end, separator] = [ask('eos'), ask('sep')]
    return {
      begin: ask('get_add_bos') === 1 ? this.#bos : undefined,
      end: ask('get_add_eos') === 1 ? (end < 0 ? separator : end) : undefined,
      between: ask('get_add_sep') === 1 ? separator : undefined,
    }
  }

  /** The text of the tokens, control tokens included; bytes that are no UTF-8 become U+FFFD. */
  detokenize(tokens: readonly number[]): string {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    let text = ''
    for (const token of tokens) text += decoder.decode(this.piece(token, true), { stream: true })
    return text + decoder.decode()
  }

  #readPiece(token: number, special: boolean): Uint8Array {
    const { library, vocabulary } = this.#model
    for (let room = 32; ; room *= 8) {
      const bytes = new Uint8Array(room)
      const count = Number(call(library.llama['llama_token_to_piece'], vocabulary, token, bytes, room, 0, special))
      if (count >= 0) return bytes.slice(0, count)
    }
  }
}
