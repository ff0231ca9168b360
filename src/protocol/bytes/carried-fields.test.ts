import { expect, it } from 'vitest'
import { carriesOver } from './carried-fields.ts'

it('a request carries over where every field that it sets is one that is read', () => {
  expect(carriesOver(Buffer.from('{"model":"m","messages":[],"max_tokens":4,"user":"u","x":null}'))).toBe(true)
  expect(carriesOver(Buffer.from('{"model":"m","prompt":"a","truncate_prompt_tokens":8}'))).toBe(false)
  expect(carriesOver(Buffer.from('{"model":'))).toBe(false)
})
