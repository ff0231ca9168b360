import { describe, expect, it } from 'vitest'
import { LineBatch } from './line-batch.ts'

describe('LineBatch', () => {
  it('writes lines that come together at once, in order, and later ones by themselves', async () => {
    const written: string[] = []
    const batch = new LineBatch({ write: (text) => written.push(text) })
    batch.write('a\n')
    batch.write('b\n')
    expect(written).toEqual([])
    await expect.poll(() => written).toEqual(['a\nb\n'])
    batch.write('c\n')
    batch.flush()
    expect(written).toEqual(['a\nb\n', 'c\n'])
    batch.flush()
    expect(written).toHaveLength(2)
  })
})
