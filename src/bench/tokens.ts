import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { TokenmillError } from '../core/index.ts'
import { words, type WordTokens } from '../workload/index.ts'

/** Where the number of tokens of a prompt is known from; reports label lengths with it. */
export type TokenSource =
  | 'tokenizer'
  /** The endpoint's /tokenize counted our words. */
  | 'endpoint'
  /** Two requests of known words and reported usage: an estimate. */
  | 'usage'
  /** One token a word: an estimate without evidence. */
  | 'assumed'

export interface CalibratedWords {
  readonly words: WordTokens
  readonly source: TokenSource
  /** Tokens that the template adds to a prompt, where usage told. */
  readonly overheadTokens: number | undefined
}

/** Counts tokens by a Hugging Face tokenizer: a tokenizer.json, or a folder with one. Throws `invalid_request`. */
export async function loadTokenCounter(file: string): Promise<(text: string) => number> {
  const folder = await stat(file).then(
    (found) => found.isDirectory(),
    () => false,
  )
  const tokenizerFile = folder ? path.join(file, 'tokenizer.json') : file
  try {
    const tokenizer = JSON.parse(await readFile(tokenizerFile, 'utf8')) as object
    const configFile = path.join(path.dirname(tokenizerFile), 'tokenizer_config.json')
    const config = await readFile(configFile, 'utf8').then(
      (text) => JSON.parse(text) as object,
      () => ({}),
    )
    // Only those who count by a tokenizer load the library: it is not small, and each load thread would.
    const { Tokenizer } = await import('@huggingface/tokenizers')
    const loaded = new Tokenizer(tokenizer, config)
    return (text) => loaded.encode(text, { add_special_tokens: false }).ids.length
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new TokenmillError('invalid_request', `Cannot read the tokenizer '${tokenizerFile}': ${why}`, {}, error)
  }
}

/** Fewer single-token words than this, and prompts would repeat themselves: all words are used, at their mean cost. */
const fewestWords = 200

/**
 * Words that cost exactly one token each after a blank, so that lengths come out exact; where the vocabulary
 * has too few of them (bytes, characters), all words at their mean cost.
 */
export function wordsOfTokenizer(countTokens: (text: string) => number): CalibratedWords {
  const base = countTokens('the')
  const single = words.filter((word) => countTokens(`the ${word}`) - base === 1)
  const exact = single.length >= fewestWords
  const tokensPerWord = exact ? 1 : (countTokens(words.join(' ')) - 1) / (words.length - 1)
  return {
    words: { words: exact ? single : words, tokensPerWord },
    source: 'tokenizer',
    overheadTokens: undefined,
  }
}
