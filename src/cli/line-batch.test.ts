import { describe, expect, it } from 'vitest'
import { LineBatch } from './line-batch.ts'

describe('LineBatch', () => {
  it('writes the lines of one turn at once, in order, and those of the next by themselves', async () => {
    const written: string[] = []
    const batch = new LineBatch({ write: (text) => written.push(text) })
    batch.write('a\n')
    batch.write('b\n')
    expect(written).toEqual([])
    await new Promise((resolve) => setImmediate(resolve))
    batch.write('c\n')
    batch.flush()
    await new Promise((resolve) => setImmediate(resolve))
    expect(written).toEqual(['a\nb\n', 'c\n'])
  })
})
