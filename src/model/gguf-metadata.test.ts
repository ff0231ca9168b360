import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { GGUFValueType, serializeGgufMetadata } from '@huggingface/gguf'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { TokenmillError } from '../core/index.ts'
import { readGgufMetadata } from './gguf-metadata.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'gguf-metadata-'))
afterAll(() => rmSync(folder, { recursive: true }))

const text = (value: string) => ({ value, type: GGUFValueType.STRING as const })
const count = (value: number) => ({ value, type: GGUFValueType.UINT32 as const })

/** A header as Hugging Face's own library writes it, with a vocabulary too long to be kept in memory. */
const header = serializeGgufMetadata({
  version: { value: 3, type: GGUFValueType.UINT32 },
  tensor_count: { value: 0n, type: GGUFValueType.UINT64 },
  kv_count: { value: 0n, type: GGUFValueType.UINT64 },
  'general.architecture': text('llama'),
  'general.name': text('Tiny'),
  'llama.context_length': count(4096),
  'llama.block_count': count(2),
  'llama.embedding_length': count(64),
  'llama.attention.head_count': count(4),
  'llama.attention.head_count_kv': { value: [1, 2], type: GGUFValueType.ARRAY, subType: GGUFValueType.UINT32 },
  'tokenizer.ggml.tokens': {
    value: Array.from({ length: 2000 }, (_, id) => `<${id}>`),
    type: GGUFValueType.ARRAY,
    subType: GGUFValueType.STRING,
  },
  'tokenizer.ggml.bos_token_id': count(1500),
  'tokenizer.ggml.eos_token_id': count(7),
  'tokenizer.chat_template': text('{{ messages }}'),
} as unknown as Parameters<typeof serializeGgufMetadata>[0])

function file(bytes: Uint8Array): string {
  const at = path.join(folder, 'model.gguf')
  writeFileSync(at, bytes)
  return at
}

describe('readGgufMetadata', () => {
  it('tells what a file is made for', () => {
    const purposeOf = (keys: Record<string, object>) => {
      const metadata = {
        version: { value: 3, type: GGUFValueType.UINT32 },
        tensor_count: { value: 0n, type: GGUFValueType.UINT64 },
        kv_count: { value: 0n, type: GGUFValueType.UINT64 },
        'general.architecture': text('qwen3'),
        ...keys,
      }
      return readGgufMetadata(file(serializeGgufMetadata(metadata as Parameters<typeof serializeGgufMetadata>[0])))
        .purpose
    }
    const no = { value: false, type: GGUFValueType.BOOL }
    expect(purposeOf({})).toBe('generate')
    expect(purposeOf({ 'qwen3.pooling_type': count(0) })).toBe('generate')
    expect(purposeOf({ 'qwen3.attention.causal': no })).toBe('embed')
    expect(purposeOf({ 'qwen3.pooling_type': count(3) })).toBe('embed')
    expect(purposeOf({ 'qwen3.pooling_type': count(4), 'qwen3.attention.causal': no })).toBe('rank')
    expect(purposeOf({ 'general.type': text('adapter') })).toBe('adapt')
  })

  it('reads architecture, shape, special tokens and template', () => {
    const metadata = readGgufMetadata(file(header))
    expect(metadata).toMatchObject({
      architecture: 'llama',
      name: 'Tiny',
      contextTokens: 4096,
      vocabularyTokens: 2000,
      shape: { layers: 2, embeddingLength: 64, heads: 4, kvHeads: 2, keyLength: 16 },
      shard: { index: 1, count: 1 },
      chat: { chatTemplate: '{{ messages }}', bosToken: '<1500>', eosToken: '<7>' },
    })
  })

  it('names the file and the fault wherever the file is cut', () => {
    for (let length = 0; length < header.length - 32; length += 97) {
      const at = file(header.subarray(0, length))
      expect(() => readGgufMetadata(at)).toThrow(
        expect.objectContaining({ name: 'TokenmillError', message: expect.stringContaining(at) }),
      )
    }
  })

  it('says so when the file is no GGUF, big-endian, of an unknown version, or absent', () => {
    const changed = (offset: number, value: number) => {
      const bytes = Buffer.from(header)
      bytes.writeUInt32LE(value, offset)
      return file(bytes)
    }
    expect(() => readGgufMetadata(changed(0, 0x04034b50))).toThrow(/does not begin with "GGUF"/)
    expect(() => readGgufMetadata(changed(4, 0x03000000))).toThrow(/big-endian/)
    expect(() => readGgufMetadata(changed(4, 9))).toThrow(/version 9/)
    expect(() => readGgufMetadata(path.join(folder, 'absent.gguf'))).toThrow(/cannot be opened/)
  })

  it('refuses absurd counts without allocating for them', () => {
    const absurd = (offset: number) => {
      const bytes = Buffer.from(header)
      bytes.writeBigUInt64LE(0x0fff_ffff_ffffn, offset)
      return file(bytes)
    }
    const before = process.memoryUsage().rss
    expect(() => readGgufMetadata(absurd(8))).toThrow(/tensors/)
    expect(() => readGgufMetadata(absurd(16))).toThrow(/metadata keys/)
    expect(() => readGgufMetadata(absurd(24))).toThrow(/the file ends inside a metadata key/)
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
  })

  it('survives any damaged byte: a reading, or a TokenmillError', () => {
    fc.assert(
      fc.property(fc.nat(header.length - 1), fc.integer({ min: 0, max: 255 }), (offset, value) => {
        const bytes = Buffer.from(header)
        bytes[offset] = value
        const at = file(bytes)
        try {
          readGgufMetadata(at)
        } catch (error) {
          expect(error).toBeInstanceOf(TokenmillError)
        }
      }),
      { numRuns: 300 },
    )
  })
})
