import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { forEachElement, isBlank, ObjectScanner } from './json-scan.ts'

const spaces = fc.constantFrom('', ' ', '\n', '\t', '  \r\n ')

/** Writes a value as JSON with random whitespace, and characters of strings escaped at random. */
function writeJson(value: fc.JsonValue, pad: () => string, escape: () => boolean): string {
  if (typeof value === 'string') {
    const body = Array.from(value)
      .map((c) =>
        escape() && c.length === 1
          ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
          : JSON.stringify(c).slice(1, -1),
      )
      .join('')
    return `"${body}"`
  }
  if (Array.isArray(value)) return `[${value.map((v) => pad() + writeJson(v, pad, escape) + pad()).join(',')}]`
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value as Record<string, fc.JsonValue>).map(
      ([key, v]) => `${pad()}${writeJson(key, pad, escape)}${pad()}:${pad()}${writeJson(v, pad, escape)}${pad()}`,
    )
    return `{${members.join(',')}}`
  }
  return JSON.stringify(value)
}

const keys = ['model', 'stream', 'a"b\\', '']

describe('ObjectScanner', () => {
  it('finds what JSON.parse finds, however the text is spaced and escaped', () => {
    const object = fc.dictionary(
      fc.oneof(fc.constantFrom(...keys), fc.constantFrom('é', '日', '🦙', '\\u', '\\\\', ' ')),
      fc.jsonValue({ maxDepth: 2 }),
      {
        noNullPrototype: true,
      },
    )
    fc.assert(
      fc.property(object, fc.infiniteStream(spaces), fc.infiniteStream(fc.boolean()), (value, pads, escapes) => {
        const pad = () => pads.next().value as string
        const text = writeJson(value, pad, () => escapes.next().value as boolean)
        fc.pre(!Object.hasOwn(value, '__proto__'))
        const bytes = Buffer.from(text)
        const expected = JSON.parse(bytes.toString()) as Record<string, unknown>
        const scanner = new ObjectScanner(keys)
        expect(scanner.scan(bytes)).toBe(true)
        expect(isBlank(bytes, scanner.after)).toBe(true)
        expect(scanner.duplicate).toBeUndefined()
        keys.forEach((key, at) => {
          const start = scanner.start[at] ?? -1
          if (!Object.hasOwn(expected, key)) return expect(start).toBe(-1)
          return expect(JSON.parse(bytes.toString('utf8', start, scanner.end[at]))).toEqual(expected[key])
        })
      }),
      { numRuns: 60 },
    )
  })

  it('never accepts an object that was cut short', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(), (value, at) => {
        const bytes = Buffer.from(JSON.stringify(value))
        expect(new ObjectScanner(keys).scan(bytes.subarray(0, at % bytes.length))).toBe(false)
      }),
    )
  })

  it('never throws and never looks past its bounds, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), fc.nat(60), (bytes, a, b) => {
        const [from, to] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)]
        const scanner = new ObjectScanner(keys)
        scanner.scan(Buffer.from(bytes), from, to)
        for (const end of scanner.end) expect(end).toBeLessThanOrEqual(to)
      }),
    )
  })

  it('reports a wanted key that occurs twice, even when one is written with escapes', () => {
    const scanner = new ObjectScanner(['model'])
    expect(scanner.scan(Buffer.from('{"model":"a","mod\\u0065l":"b"}'))).toBe(true)
    expect(scanner.duplicate).toBe('model')
  })
})

describe('forEachElement', () => {
  it('visits what JSON.parse gives', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (values) => {
        const bytes = Buffer.from(JSON.stringify(values))
        const seen: unknown[] = []
        expect(
          forEachElement(bytes, 0, bytes.length, (a, b) => seen.push(JSON.parse(bytes.toString('utf8', a, b)))),
        ).toBe(true)
        expect(seen).toEqual(JSON.parse(bytes.toString()))
      }),
    )
  })
})
