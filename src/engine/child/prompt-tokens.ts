/** What prompts need of a vocabulary. */
export interface PromptVocabulary {
  readonly size: number
  /** The token that begins every prompt; undefined where the model was trained without one. */
  readonly begin: number | undefined
  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Int32Array
  isControl(token: number): boolean
  piece(token: number, special: boolean): Uint8Array
}

/** A text to make tokens of. */
export interface TextTask {
  readonly text: string
  /** Whether the vocabulary's own tokens are added: at the beginning of a prompt, on both sides of what is embedded. */
  readonly addSpecial: boolean
  /** What the tokens are for: control tokens are read in prompts, see `createPromptTokenizer`. */
  readonly use: 'prompt' | 'embedding'
  /** As in RenderedChat. */
  readonly inputRanges: readonly number[]
}

/** Makes tokens for either use. */
export function createTextTokenizer(vocabulary: PromptVocabulary): (task: TextTask) => Int32Array {
  const tokenizePrompt = createPromptTokenizer(vocabulary)
  return ({ text, addSpecial, use, inputRanges }) =>
    use === 'prompt' ? tokenizePrompt(text, addSpecial, inputRanges) : vocabulary.tokenize(text, addSpecial, false)
}

/** Makes tokens of prompts. `inputRanges`: as in RenderedChat; `addBegin`: the begin token stands first, once. */
export type PromptTokenizer = (text: string, addBegin: boolean, inputRanges: readonly number[]) => Int32Array

/**
 * Control tokens are the template's alone: a client's text that spells `<|im_end|>` is that text, and ends no turn. Where
 * it spells one, the prompt is cut at the template's own control tokens, and what lies between is tokenised as plain text;
 * elsewhere the whole is tokenised at once, as in training. No end token is put behind a prompt: generation goes on there.
 */
export function createPromptTokenizer(vocabulary: PromptVocabulary): PromptTokenizer {
  let controls: ControlTexts | undefined
  return (text, addBegin, inputRanges) => {
    const own: ControlMatch[] = []
    let forged = false
    if (inputRanges.length > 0) {
      controls ??= new ControlTexts(vocabulary)
      for (const match of controls.find(text)) {
        if (overlaps(match, inputRanges)) forged = true
        else own.push(match)
      }
    }
    const tokens = forged ? tokenizeBetween(vocabulary, text, own) : vocabulary.tokenize(text, false, true)
    const { begin } = vocabulary
    return addBegin && begin !== undefined && tokens[0] !== begin ? Int32Array.of(begin, ...tokens) : tokens
  }
}

interface ControlMatch {
  readonly token: number
  readonly start: number
  readonly end: number
}

function tokenizeBetween(vocabulary: PromptVocabulary, text: string, controls: readonly ControlMatch[]): Int32Array {
  const tokens: number[] = []
  let at = 0
  for (const { token, start, end } of controls) {
    // A control text inside another that was found before it.
    if (start < at) continue
    if (start > at) for (const between of vocabulary.tokenize(text.slice(at, start), false, false)) tokens.push(between)
    tokens.push(token)
    at = end
  }
  if (at < text.length) for (const between of vocabulary.tokenize(text.slice(at), false, false)) tokens.push(between)
  return Int32Array.from(tokens)
}

function overlaps({ start, end }: ControlMatch, ranges: readonly number[]): boolean {
  // The last range that begins before the match ends.
  let [low, high] = [0, ranges.length / 2]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ranges[2 * middle] as number) < end) low = middle + 1
    else high = middle
  }
  return low > 0 && (ranges[2 * low - 1] as number) > start
}

/** The vocabulary's control tokens by their texts, found by their first two characters: `<|`, `<s`, `[I`. */
class ControlTexts {
  readonly #byStart = new Map<string, { readonly text: string; readonly token: number }[]>()

  constructor(vocabulary: PromptVocabulary) {
    const decoder = new TextDecoder()
    for (let token = 0; token < vocabulary.size; token += 1) {
      if (!vocabulary.isControl(token)) continue
      const text = decoder.decode(vocabulary.piece(token, true))
      if (text === '') continue
      const start = text.slice(0, 2)
      const same = this.#byStart.get(start)
      if (same === undefined) this.#byStart.set(start, [{ text, token }])
      else same.push({ text, token })
    }
    for (const same of this.#byStart.values()) same.sort((one, other) => other.text.length - one.text.length)
  }

  /** The longest control text at each place where one stands, overlapping ones too. */
  *find(text: string): Iterable<ControlMatch> {
    for (let start = 0; start < text.length; start += 1) {
      const candidates = this.#byStart.get(text.slice(start, start + 2))
      const found = candidates?.find((candidate) => text.startsWith(candidate.text, start))
      if (found !== undefined) yield { token: found.token, start, end: start + found.text.length }
    }
  }
}
