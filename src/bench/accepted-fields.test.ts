import { describe, expect, it } from 'vitest'
import { withoutRefusedFields } from './accepted-fields.ts'
import type { RequestRecord } from './metrics/record.ts'
import type { Target } from './plan.ts'

const target = { stream: true, ignoreEos: true, includeUsage: true, maxTokensField: 'max_tokens' } as Target
const answer = (outcome: string, status: number, message = ''): RequestRecord =>
  ({ outcome, status, message }) as RequestRecord
const ok = answer('ok', 200)

/** An endpoint that refuses what `refuse` says. */
async function negotiate(refuse: (asked: Target) => RequestRecord, fieldIsOurs = true) {
  const asked: Target[] = [target]
  const accepted = await withoutRefusedFields(refuse(target), target, fieldIsOurs, (next) => {
    asked.push(next)
    return Promise.resolve(refuse(next))
  })
  return { ...accepted, requests: asked.length }
}

describe('withoutRefusedFields()', () => {
  it('leaves a field out that a 422 names, and no other', async () => {
    const refuse = ({ includeUsage }: Target) =>
      includeUsage ? answer('httpError', 422, '422: body.stream_options: extra inputs are not permitted') : ok
    const accepted = await negotiate(refuse)
    expect(accepted).toMatchObject({ requests: 2, answer: { outcome: 'ok' } })
    expect(accepted.target).toEqual({ ...target, includeUsage: false })
    expect(accepted.notes).toEqual([expect.stringContaining('stream_options')])
  })

  it('tries one after the other where the refusal names none', async () => {
    const refuse = (asked: Target) => (asked.ignoreEos || asked.includeUsage ? answer('httpError', 400) : ok)
    const accepted = await negotiate(refuse)
    expect(accepted.target).toEqual({ ...target, ignoreEos: false, includeUsage: false })
  })

  it('limits answers by max_completion_tokens where max_tokens is refused, unless the user chose the field', async () => {
    const refuse = ({ maxTokensField }: Target) =>
      maxTokensField === 'max_tokens' ? answer('httpError', 400, "Use 'max_completion_tokens', not 'max_tokens'.") : ok
    expect((await negotiate(refuse)).target.maxTokensField).toBe('max_completion_tokens')
    expect((await negotiate(refuse, false)).answer.status).toBe(400)
  })

  it('gives the first refusal back where nothing helps, and asks nothing again after other failures', async () => {
    const never = await negotiate((asked) => answer('httpError', 400, asked === target ? 'first' : 'later'))
    expect(never).toMatchObject({ answer: { message: 'first' }, target, notes: [] })
    expect(await negotiate(() => answer('httpError', 404))).toMatchObject({ requests: 1 })
  })
})
