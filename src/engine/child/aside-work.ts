import { toTokenmillError, type TokenmillError } from '../../core/index.ts'
import type { FromChild, ToChild } from '../messages.ts'
import type { Encoding, EncodingCall } from './encoding.ts'
import { LongTexts } from './long-texts.ts'
import type { LlamaVocabulary } from './native/llama-vocabulary.ts'
import type { TextTask } from './prompt-tokens.ts'
import { checkToken } from './token-check.ts'

export interface Tokenizing {
  readonly use: TextTask['use']
  tokenize(this: void, task: TextTask): Int32Array
}

/** Calls and prompts whose texts are long: tokenized beside the loop, and then what they would have been at once. */
export class AsideWork {
  readonly #texts: LongTexts
  readonly #encoding: Encoding
  readonly #onReady: () => void
  #answers: FromChild[] = []

  constructor(texts: LongTexts, encoding: Encoding, onReady: () => void) {
    this.#texts = texts
    this.#encoding = encoding
    this.#onReady = onReady
  }

  /** Answers wait to be taken. */
  get isDone(): boolean {
    return this.#answers.length > 0
  }

  take(): readonly FromChild[] {
    const answers = this.#answers
    this.#answers = []
    return answers
  }

  cancel(key: number): void {
    this.#texts.cancel(key)
  }

  tokenize(
    key: number,
    tasks: readonly TextTask[],
    done: (tokens: readonly Int32Array[]) => void,
    failed: (error: TokenmillError) => void,
  ): void {
    const ready =
      <Value>(act: (value: Value) => void) =>
      (value: Value) => {
        act(value)
        this.#onReady()
      }
    const asked = tasks.map(({ text, addSpecial, use, inputRanges }) => ({ text, addSpecial, use, inputRanges }))
    this.#texts.tokenize(key, asked, ready(done), ready(failed))
  }

  /** `tokenizing`: what the model makes tokens for, and how: so that they are counted as there. */
  answer(
    message: TextCall,
    tokenizing: Tokenizing,
    vocabulary: LlamaVocabulary,
    vocabularySize: number,
  ): FromChild | undefined {
    if (message.type !== 'tokenize' || !LongTexts.areLong([message.text])) {
      return answerCall(message, tokenizing, vocabulary, vocabularySize)
    }
    const { call } = message
    const reply = ([value = new Int32Array(0)]: readonly Int32Array[]) => this.#tell({ type: 'reply', call, value })
    this.tokenize(call, [{ ...message, use: tokenizing.use }], reply, (error) => this.#fail(call, error))
    return undefined
  }

  encode(message: EncodingCall): FromChild | undefined {
    const texts = message.type === 'embed' ? message.inputs.filter((input) => typeof input === 'string') : []
    if (message.type !== 'embed' || !LongTexts.areLong(texts)) return this.#encoding.begin(message)
    const tasks = texts.map((text) => ({ text, addSpecial: true, use: 'embedding' as const, inputRanges: [] }))
    const begin = (tokens: readonly Int32Array[]) => {
      const next = tokens.values()
      const inputs = message.inputs.map((input) =>
        typeof input === 'string' ? Array.from(next.next().value ?? []) : input,
      )
      const answer = this.#encoding.begin({ ...message, inputs })
      if (answer !== undefined) this.#tell(answer)
    }
    this.tokenize(message.call, tasks, begin, (error) => this.#fail(message.call, error))
    return undefined
  }

  #tell(answer: FromChild): void {
    this.#answers.push(answer)
  }

  #fail(call: number, { code, message, details }: TokenmillError): void {
    this.#tell({ type: 'replyFailed', call, code, message, details })
  }
}

function answerCall(
  message: TextCall,
  { use, tokenize }: Tokenizing,
  vocabulary: LlamaVocabulary,
  vocabularySize: number,
): FromChild {
  const { call } = message
  if (message.type === 'tokenize') {
    const tokens = tokenize({ ...message, use })
    return { type: 'reply', call, value: tokens }
  }
  try {
    for (const token of message.tokens) checkToken(token, vocabularySize, 'tokens')
    return { type: 'reply', call, value: vocabulary.detokenize(message.tokens) }
  } catch (error) {
    const { message: text, details } = toTokenmillError(error)
    return { type: 'replyFailed', call, code: 'invalid_request', message: text, details }
  }
}

type TextCall = Extract<ToChild, { type: 'tokenize' | 'detokenize' }>
