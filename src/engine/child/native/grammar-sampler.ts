import { TriggerWatch } from '../../grammar/index.ts'
import type { GrammarSpec } from '../../messages.ts'
import { GrammarError, type Sampler } from '../backend.ts'
import type { Pointer } from './abi.ts'
import type { Candidates } from './candidates.ts'
import type { FirstBytes } from './first-bytes.ts'
import { call, type LlamaModel } from './llama-model.ts'
import type { RowDraw } from './row-draw.ts'
import type { SamplerPlace } from './sampler-place.ts'

/** Most tokens that are tried at once where others may do. */
const mostTried = 512
/** Of the likeliest tokens so many are tried at a time. */
const portions = [32, 96, 384]
/** Beside what is allowed, what was not tried may have this share of the probability. */
const untriedShare = 0.01
/** A first byte with more tokens than this is followed by a look at the second, where few bytes are possible. */
const largeGroup = 64
const fewGroups = 4

/**
 * A chain with a grammar. Testing the whole vocabulary against a grammar costs 10 to 20 ms a token, testing one token
 * 0.01 ms: so the sequence draws as if it were free, and only a token that the grammar forbids makes it draw again.
 *
 *   1. Which bytes can follow? The tokens that are one byte tell. Where few tokens begin with those (a bracket, a name that
 *      the schema gives), all of them are tried.
 *   2. Else (inside a string), the likeliest that begin so are tried, until those that fit outweigh what was not tried.
 *   3. Else the likeliest of all that begin so, whatever their share; else those of one byte.
 *
 * Where few tokens fitted last, their small set is looked for first: a free draw would cost more than it.
 *
 * Both the grammar and the draw then accept the token; accepting one that the grammar forbids would end the process, so
 * it is tested first.
 *
 * With a trigger, the grammar waits until the answer's text reaches it, and is then given the tokens of the text that
 * came with the trigger's end. libllama has triggers of its own; they would end the process where that text does not
 * fit the grammar. Here such an answer goes on without the grammar.
 */
export class GrammarSampler implements Sampler {
  readonly #place: SamplerPlace
  readonly #candidates: Candidates
  readonly #draw: RowDraw
  readonly #grammar: Pointer
  readonly #firstBytes: FirstBytes
  readonly #watch: TriggerWatch | undefined
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #binding: boolean
  /** The last free draw was forbidden where few tokens fit: as likely as not the next one would be. */
  #expectsRefusal = false

  /** Owns the draw from here on. Throws GrammarError, with it freed, for a grammar that is none. */
  constructor(place: SamplerPlace, draw: RowDraw, spec: GrammarSpec) {
    this.#place = place
    this.#candidates = place.rowSampler.candidates
    this.#draw = draw
    this.#grammar = createGrammar(place.model, spec)
    if (this.#grammar === null) {
      draw.free()
      throw new GrammarError(`libllama cannot parse the grammar, or it has no rule '${spec.root}'.`)
    }
    this.#firstBytes = place.firstBytes
    this.#watch = spec.trigger && new TriggerWatch(spec.trigger)
    this.#binding = spec.trigger === undefined
  }

  sample(row: number): number {
    if (this.#binding) return this.#sampleBound(row)
    const token = this.#draw.sample(row)
    const { vocabulary } = this.#place
    const behind = this.#watch?.push(this.#decoder.decode(vocabulary.piece(token, true), { stream: true }))
    if (behind !== undefined) this.#binding = this.#acceptText(behind)
    return token
  }

  free(): void {
    this.#draw.free()
    call(this.#place.model.library.llama['llama_sampler_free'], this.#grammar)
  }

  #sampleBound(row: number): number {
    const logits = this.#draw.take(row)
    let token = this.#expectsRefusal ? this.#drawAmongFew(logits) : undefined
    token ??= this.#draw.draw()
    if (!this.#allows(token)) {
      token = this.#redraw(logits)
      if (!this.#allows(token))
        throw new GrammarError('No token of the vocabulary continues the text as the grammar demands.')
    }
    this.#accept(token)
    this.#draw.accept(token)
    return token
  }

  /** The draw among all that fit, without a free one before it; undefined where many may fit. Equal in distribution. */
  #drawAmongFew(logits: Float32Array): number | undefined {
    const possible = this.#possible(this.#nextBytes(this.#grammar))
    this.#expectsRefusal = possible.length <= mostTried
    if (!this.#expectsRefusal) return undefined
    const size = this.#keepFitting(this.#put(possible, logits, mostTried))
    return size === 0 ? undefined : this.#draw.drawAmong(size)
  }

  /** The row of these logits is taken. */
  #redraw(logits: Float32Array): number {
    const bytes = this.#nextBytes(this.#grammar)
    const possible = this.#possible(bytes)
    this.#expectsRefusal = possible.length <= mostTried
    let size = possible.length > mostTried ? this.#keepLikeliest(bytes) : 0
    if (size === 0) size = this.#keepFitting(this.#put(possible, logits, mostTried))
    if (size === 0 && possible.length > mostTried) {
      // Near the end of a bounded string only short tokens fit. Those of one byte are known to.
      const singles = bytes.flatMap((byte) => this.#firstBytes.single(byte) ?? [])
      size = this.#keepFitting(this.#put(singles.length > 0 ? singles : possible, logits, Infinity))
    }
    return size === 0 ? this.#candidates.tokenAt(0) : this.#draw.drawAmong(size)
  }

  /** The bytes with which the text can go on; those of which no token tells are among them. */
  #nextBytes(grammar: Pointer): readonly number[] {
    const { singles, unsettled, firstByteOf } = this.#firstBytes
    for (let at = 0; at < singles.length; at += 1) this.#candidates.put(at, singles[at] as number, 1)
    this.#candidates.apply(grammar, singles.length)
    const bytes = [...unsettled]
    for (let at = 0; at < singles.length; at += 1) {
      if (this.#candidates.logitAt(at) > -Infinity) bytes.push(firstByteOf[this.#candidates.tokenAt(at)] as number)
    }
    return bytes
  }

  /** The tokens that begin with such a byte, and the ends. */
  #possible(bytes: readonly number[]): Int32Array {
    const index = this.#firstBytes
    const groups = bytes.map((byte) => ({ byte, tokens: index.group(byte) }))
    const total = groups.reduce((sum, { tokens }) => sum + tokens.length, 0)
    // Copying a grammar that nests deeply costs more than trying a few hundred tokens.
    const large = total > mostTried ? groups.filter(({ tokens }) => tokens.length > largeGroup) : []
    const looksFurther = large.length > 0 && large.length <= fewGroups
    const found: Int32Array[] = [index.ends]
    for (const { byte, tokens } of groups) {
      const single = index.single(byte)
      if (tokens.length <= largeGroup || !looksFurther || single === undefined) found.push(tokens)
      else {
        found.push(Int32Array.of(single))
        for (const second of this.#bytesBehind(single)) found.push(index.pair(byte, second))
      }
    }
    const all = new Int32Array(found.reduce((sum, { length }) => sum + length, 0))
    let end = 0
    for (const tokens of found) {
      all.set(tokens, end)
      end += tokens.length
    }
    return all
  }

  /** The bytes that can follow a token that fits. */
  #bytesBehind(token: number): readonly number[] {
    const { llama } = this.#place.model.library
    const ahead = call(llama['llama_sampler_clone'], this.#grammar) as Pointer
    try {
      call(llama['llama_sampler_accept'], ahead, token)
      return this.#nextBytes(ahead)
    } finally {
      call(llama['llama_sampler_free'], ahead)
    }
  }

  /**
   * Leaves those of the likeliest candidates that fit, and returns their number: 0 where what was not tried would weigh
   * more than `untriedShare` beside them. Weights are those of the softmax at temperature T, the best token's 1.
   */
  #keepLikeliest(bytes: readonly number[]): number {
    const candidates = this.#candidates
    // At temperature 0 the likeliest that fits is wanted: the order of logits is all that matters.
    const temperature = this.#draw.temperature > 0 ? this.#draw.temperature : 1
    const collected = this.#keepBeginning(bytes, this.#place.rowSampler.collect(temperature))
    let best = -Infinity
    for (let at = 0; at < collected; at += 1) best = Math.max(best, candidates.logitAt(at))
    const weights = (from: number, to: number) => {
      let sum = 0
      for (let at = from; at < to; at += 1) sum += Math.exp((candidates.logitAt(at) - best) / temperature)
      return sum
    }
    let untried = weights(0, collected)
    const size = candidates.keepLargest(collected, mostTried)
    let allowed = 0
    let tried = 0
    for (const portion of portions) {
      if (tried === size) break
      const end = Math.min(size, tried + portion)
      untried -= weights(tried, end)
      candidates.apply(this.#grammar, end - tried, tried)
      allowed += weights(tried, end)
      tried = end
      const suffices = this.#draw.temperature > 0 ? untried <= untriedShare * allowed : allowed > 0
      if (suffices && allowed > 0) return this.#keepAllowed(tried)
    }
    return 0
  }

  /** Leaves the candidates that begin with one of the bytes, or end. Returns their number. */
  #keepBeginning(bytes: readonly number[], size: number): number {
    const { firstByteOf, ends } = this.#firstBytes
    const wanted = new Set(bytes)
    let kept = 0
    for (let at = 0; at < size; at += 1) {
      const token = this.#candidates.tokenAt(at)
      if (!wanted.has(firstByteOf[token] as number) && !ends.includes(token)) continue
      this.#candidates.put(kept, token, this.#candidates.logitAt(at))
      kept += 1
    }
    return kept
  }

  /** Makes candidates of the tokens, of the likeliest `most` where there are more. Returns their number. */
  #put(tokens: ArrayLike<number>, logits: Float32Array, most: number): number {
    for (let at = 0; at < tokens.length; at += 1) {
      const token = tokens[at] as number
      this.#candidates.put(at, token, logits[token] as number)
    }
    return tokens.length > most ? this.#candidates.keepLargest(tokens.length, most) : tokens.length
  }

  /** Leaves those of the candidates that fit. Returns their number. */
  #keepFitting(size: number): number {
    this.#candidates.apply(this.#grammar, size)
    return this.#keepAllowed(size)
  }

  /** Moves the candidates that the grammar left to the front. Returns their number. */
  #keepAllowed(size: number): number {
    let kept = 0
    for (let at = 0; at < size; at += 1) {
      const logit = this.#candidates.logitAt(at)
      if (logit === -Infinity) continue
      this.#candidates.put(kept, this.#candidates.tokenAt(at), logit)
      kept += 1
    }
    return kept
  }

  /** Gives the grammar text that is already generated. False where it does not fit: then the answer stays free. */
  #acceptText(text: string): boolean {
    for (const token of this.#place.vocabulary.tokenize(text, false, true)) {
      if (!this.#allows(token)) return false
      this.#accept(token)
    }
    return true
  }

  #accept(token: number): void {
    call(this.#place.model.library.llama['llama_sampler_accept'], this.#grammar, token)
  }

  #allows(token: number): boolean {
    this.#candidates.put(0, token, 1)
    this.#candidates.apply(this.#grammar, 1)
    return this.#candidates.logitAt(0) > -Infinity
  }
}

function createGrammar(model: LlamaModel, spec: GrammarSpec): Pointer {
  return call(model.library.llama['llama_sampler_init_grammar'], model.vocabulary, spec.gbnf, spec.root) as Pointer
}
