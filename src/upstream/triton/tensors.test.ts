import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TokenmillError } from '../../core/index.ts'
import { readOutputs, toRaw } from './tensors.ts'

const read = (datatype: string, raw: Uint8Array) =>
  readOutputs('grpc://up', { parameters: {}, outputs: [{ name: 'out', datatype }], rawOutputContents: [raw] }).get(
    'out',
  )

describe('raw tensors', () => {
  it('come back as they went, whatever their type', () => {
    const tensor = fc.oneof(
      fc.record({ type: fc.constant('BYTES' as const), values: fc.array(fc.string({ unit: 'grapheme' })) }),
      fc.record({ type: fc.constant('BOOL' as const), values: fc.array(fc.boolean()) }),
      fc.record({ type: fc.constant('INT32' as const), values: fc.array(fc.integer()) }),
      fc.record({ type: fc.constant('UINT64' as const), values: fc.array(fc.maxSafeNat()) }),
      fc.record({
        type: fc.constant('FP32' as const),
        values: fc.array(fc.float({ noNaN: true, noDefaultInfinity: true })),
      }),
    )
    fc.assert(
      fc.property(tensor, ({ type, values }) => {
        const raw = toRaw({ name: 'in', type, values })
        expect(read(type, raw)).toEqual(values)
      }),
    )
  })

  it('that are cut short, or no tensors at all, throw nothing but a TokenmillError', () => {
    fc.assert(
      fc.property(fc.constantFrom('BYTES', 'INT64', 'FP64', 'FP16'), fc.uint8Array({ maxLength: 40 }), (type, raw) => {
        try {
          read(type, raw)
        } catch (error) {
          expect(error).toBeInstanceOf(TokenmillError)
        }
      }),
    )
    expect(() => read('BYTES', Buffer.from([9, 0, 0, 0, 65]))).toThrow(/grpc:\/\/up sent the output 'out' cut short/)
  })

  it('may come as contents instead of raw bytes', () => {
    const outputs = readOutputs('grpc://up', {
      parameters: {},
      outputs: [
        { name: 'text', datatype: 'BYTES', contents: { boolContents: [], bytesContents: [Buffer.from('é')] } },
        { name: 'count', datatype: 'UINT32', contents: { uintContents: [7] } },
      ],
      rawOutputContents: [],
    })
    expect([...outputs]).toEqual([
      ['text', ['é']],
      ['count', [7]],
    ])
  })
})
