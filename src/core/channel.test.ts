import { describe, expect, it } from 'vitest'
import { Channel } from './channel.ts'

describe('Channel', () => {
  it('delivers what was pushed before and while it is read, then ends', async () => {
    const channel = new Channel<number>(8)
    channel.push(1)
    channel.push(2)
    const seen: number[] = []
    const reading = (async () => {
      for await (const value of channel) seen.push(value)
    })()
    await Promise.resolve()
    channel.push(3)
    channel.end()
    channel.push(4)
    await reading
    expect(seen).toEqual([1, 2, 3])
  })

  it('pauses its producer past the high water mark, and resumes it once the reader has taken everything', async () => {
    const calls: string[] = []
    const channel = new Channel<number>(2)
    channel.attach({ pause: () => calls.push('pause'), resume: () => calls.push('resume') })
    for (const value of [1, 2, 3, 4]) channel.push(value)
    expect(calls).toEqual(['pause'])
    const reader = channel[Symbol.asyncIterator]()
    for (const value of [1, 2, 3, 4]) expect((await reader.next()).value).toBe(value)
    expect(calls).toEqual(['pause'])
    const next = reader.next()
    await Promise.resolve()
    expect(calls).toEqual(['pause', 'resume'])
    channel.end()
    expect((await next).done).toBe(true)
  })

  it('delivers what is queued before the error that ends it; a failure drops what is queued', async () => {
    const ended = new Channel<number>(8)
    ended.push(1)
    ended.end(new Error('broken'))
    const reader = ended[Symbol.asyncIterator]()
    expect((await reader.next()).value).toBe(1)
    await expect(reader.next()).rejects.toThrow('broken')

    const failed = new Channel<number>(8)
    failed.push(1)
    failed.fail(new Error('cancelled'))
    failed.end(new Error('too late'))
    await expect(failed[Symbol.asyncIterator]().next()).rejects.toThrow('cancelled')
  })
})
