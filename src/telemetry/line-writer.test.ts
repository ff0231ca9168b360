import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../core/index.ts'
import { LineWriter } from './line-writer.ts'

/** A target whose writes end when the test says so. */
function open(maxBytes = 1000) {
  const clock = new VirtualClock()
  const written: string[] = []
  const pending: ((error?: Error) => void)[] = []
  const target = {
    write: (text: string, done: (error?: Error | null) => void) => {
      written.push(text)
      pending.push(done)
    },
    writeNow: (text: string) => void written.push(`now ${text}`),
  }
  const writer = new LineWriter(target, { clock, maxBytes, droppedNote: (lines) => `dropped ${lines}\n` })
  return { clock, written, writer, finish: (error?: Error) => pending.shift()?.(error) }
}

describe('LineWriter', () => {
  it('writes lines that come together in one write, in order, and never two writes at once', async () => {
    const { clock, written, writer, finish } = open()
    writer.write('a\n')
    writer.write('b\n')
    expect(written).toEqual([])
    await clock.advance(50)
    expect(written).toEqual(['a\nb\n'])
    writer.write('c\n')
    await clock.advance(1000)
    expect(written).toHaveLength(1)
    finish()
    await clock.advance(50)
    expect(written).toEqual(['a\nb\n', 'c\n'])
    finish()
    await clock.advance(10_000)
    expect(written).toHaveLength(2)
  })

  it('holds at most maxBytes with the batch in flight, drops what comes beyond, and tells how many', async () => {
    const { clock, written, writer, finish } = open(8)
    writer.write('aaa\n')
    await clock.advance(50)
    writer.write('bbb\n')
    writer.write('ccc\n')
    writer.write('ddd\n')
    expect(writer.droppedLines).toBe(2)
    finish()
    await clock.advance(50)
    expect(written).toEqual(['aaa\n', 'bbb\ndropped 2\n'])
    finish()
    writer.write('eee\n')
    await clock.advance(50)
    expect(written.at(-1)).toBe('eee\n')
    expect(writer.droppedLines).toBe(2)
  })

  it('drops the batch of a failed write, pauses a second, and tells the loss once writing works again', async () => {
    const { clock, written, writer, finish } = open()
    writer.write('a\n')
    writer.write('b\n')
    await clock.advance(50)
    writer.write('c\n')
    finish(new Error('ENOSPC'))
    expect(writer.droppedLines).toBe(2)
    await clock.advance(999)
    expect(written).toHaveLength(1)
    await clock.advance(1)
    expect(written.at(-1)).toBe('c\ndropped 2\n')
    finish(new Error('ENOSPC'))
    expect(writer.droppedLines).toBe(3)
    await clock.advance(1000)
    expect(written.at(-1)).toBe('dropped 3\n')
    finish()
    await clock.advance(10_000)
    expect(written).toHaveLength(3)
  })

  it('tells the loss by itself where no further line comes', async () => {
    const { clock, written, writer, finish } = open(4)
    writer.write('aaa\n')
    await clock.advance(50)
    writer.write('b\n')
    finish()
    await clock.advance(50)
    expect(written).toEqual(['aaa\n', 'dropped 1\n'])
  })

  it('closes once everything is written, or after a second before a target that takes nothing', async () => {
    const { clock, written, writer, finish } = open()
    await writer.close()
    writer.write('a\n')
    const closed = writer.close()
    expect(written).toEqual(['a\n'])
    finish()
    await closed

    writer.write('b\n')
    let given = false
    const stuck = writer.close().then(() => (given = true))
    await clock.advance(999)
    expect(given).toBe(false)
    await clock.advance(1)
    await stuck
    expect(written).toEqual(['a\n', 'b\n'])
  })

  it('hands over what is gathered before the process ends', () => {
    const { written, writer } = open()
    writer.write('a\n')
    writer.writeNow()
    writer.writeNow()
    expect(written).toEqual(['now a\n'])
  })
})
