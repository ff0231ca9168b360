/** What is asked of every contender: token ids, so that no tokenizer changes a length. */
export interface PromptPlan {
  readonly count: number
  /** Of each prompt. */
  readonly tokens: number
  /** How many of them, from the first, are equal in all prompts. */
  readonly shared: number
  /** Ids are drawn below it. */
  readonly vocabulary: number
  readonly seed: number
}

/** Ids below this are controls and bytes in the random models' vocabulary (src/model/random-vocabulary.ts). */
const firstTextId = 259

/** Seeded prompts that begin with the begin-of-text token, as a tokenizer would have it. */
export function createPrompts({ count, tokens, shared, vocabulary, seed }: PromptPlan): number[][] {
  let state = (seed * 2_654_435_761) >>> 0
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return firstTextId + Math.floor((state / 2 ** 32) * (vocabulary - firstTextId))
  }
  const prefix = [1, ...Array.from({ length: Math.max(0, shared - 1) }, next)]
  return Array.from({ length: count }, () => [...prefix, ...Array.from({ length: tokens - prefix.length }, next)])
}
