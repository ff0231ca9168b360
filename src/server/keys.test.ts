import { describe, expect, it } from 'vitest'
import { createKey, hashKey, matchesHash } from './key-hash.ts'
import { ApiKeys } from './keys.ts'

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

describe('ApiKeys', () => {
  it('finds whose stored key it is, again and again, and forgets a key that was taken out', () => {
    const [alice, bob] = [createKey(), createKey()]
    const keys = new ApiKeys(
      ['given-key'],
      [
        { name: 'alice', hash: hashKey(alice) },
        { name: 'bob', hash: hashKey(bob) },
      ],
    )
    for (const round of [1, 2]) {
      expect(keys.check(bearer(alice)), String(round)).toBe('alice')
      expect(keys.check({ 'x-api-key': bob })).toBe('bob')
      expect(keys.check(bearer('given-key'))).toBe('key-1')
    }
    keys.setStored([{ name: 'bob', hash: hashKey(bob) }])
    expect(() => keys.check(bearer(alice))).toThrow(/not valid/)
    expect(keys.check(bearer(bob))).toBe('bob')
  })

  it('does not open for the stored hash, a prefix of a key, or nothing', () => {
    const key = createKey()
    const hash = hashKey(key)
    const keys = new ApiKeys([], [{ name: 'alice', hash }])
    for (const wrong of [hash, hash.split('$')[2] ?? '', key.slice(0, -1), `${key}x`]) {
      expect(() => keys.check(bearer(wrong))).toThrow(/not valid/)
    }
    expect(() => keys.check({})).toThrow(/No API key/)
  })
})

describe('hashKey()', () => {
  it('gives equal keys different hashes, and neither holds the key', () => {
    const key = createKey()
    expect(hashKey(key)).not.toBe(hashKey(key))
    expect(hashKey(key)).not.toContain(key.slice(3, 12))
    expect(matchesHash(key, hashKey(key))).toBe(true)
    expect(matchesHash(key, 'nonsense')).toBe(false)
  })
})
