import type { RequestRecord } from './metrics/record.ts'
import type { Target } from './plan.ts'

/** A field of our requests that some endpoints refuse, and what is done without it. */
interface OptionalField {
  /** As it stands in the endpoint's refusal. */
  readonly name: string
  /** The target without the field; undefined where it has none. */
  readonly without: (target: Target) => Target | undefined
  readonly note: string
}

/**
 * In the order in which they are tried where a refusal names none: the rarest first. `isOurs` says that the user did not choose
 * the name of the token limit.
 */
function optionalFields(isOurs: boolean): readonly OptionalField[] {
  const thinkingField = 'max_completion_tokens'
  return [
    {
      name: 'ignore_eos',
      without: (target) => (target.ignoreEos ? { ...target, ignoreEos: false } : undefined),
      note: 'The endpoint refuses ignore_eos: answers may be shorter than asked.',
    },
    {
      name: 'stream_options',
      without: (target) => (target.includeUsage && target.stream ? { ...target, includeUsage: false } : undefined),
      note: 'The endpoint refuses stream_options: where it reports no usage, each chunk counts as a token.',
    },
    {
      name: 'max_tokens',
      without: (target) =>
        isOurs && target.maxTokensField !== thinkingField ? { ...target, maxTokensField: thinkingField } : undefined,
      note: 'The endpoint refuses max_tokens: max_completion_tokens limits answers.',
    },
  ]
}

export interface AcceptedFields {
  readonly target: Target
  /** The answer to the last request. */
  readonly answer: RequestRecord
  readonly notes: readonly string[]
}

/**
 * Leaves out, one by one, the fields that an endpoint refuses with 400 or 422, beginning with those that it names. Gives the
 * first refusal back where it answers none of the requests.
 */
export async function withoutRefusedFields(
  first: RequestRecord,
  asked: Target,
  fieldIsOurs: boolean,
  ask: (target: Target) => Promise<RequestRecord>,
): Promise<AcceptedFields> {
  const notes: string[] = []
  let [target, answer] = [asked, first]
  while (isRefusal(answer)) {
    const { message } = answer
    const left = optionalFields(fieldIsOurs).flatMap((field) => {
      const without = field.without(target)
      return without === undefined ? [] : [{ ...field, target: without }]
    })
    const next = left.find(({ name }) => message.includes(name)) ?? left[0]
    if (next === undefined) return { target: asked, answer: first, notes: [] }
    notes.push(next.note)
    target = next.target
    answer = await ask(target)
  }
  return { target, answer, notes }
}

function isRefusal({ outcome, status }: RequestRecord): boolean {
  return outcome === 'httpError' && (status === 400 || status === 422)
}
