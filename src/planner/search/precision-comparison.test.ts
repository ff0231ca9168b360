import { describe, expect, it } from 'vitest'
import { resolveModel } from '../../model/index.ts'
import { comparePrecisions, compareSparsity, tensorParallelFor } from './precision-comparison.ts'
import { resolveEngine } from '../work/engine-profiles.ts'
import { resolveHardware } from '../work/hardware.ts'
import { numberFormats, resolveFormat } from '../work/precision.ts'

function question(model: string, gpu: string, formats: readonly string[], tp = 2, concurrency = 8) {
  return {
    shape: resolveModel(model).shape,
    gpu: resolveHardware(gpu),
    engine: resolveEngine('vllm'),
    formats: formats.map((name) => resolveFormat(name)),
    parallelism: { tp, pp: 1, ep: 1, dp: 1 },
    load: { inputTokens: 1000, outputTokens: 500, concurrency },
  }
}

describe('comparePrecisions()', () => {
  it('gives whole GGUF files the sizes that llama.cpp publishes: Llama 3.1 Q4_K_M, 4.9 and 43.1 GB', () => {
    const [eight] = comparePrecisions(question('llama-3.1-8b', 'h100', ['q4_k_m']))
    const [seventy] = comparePrecisions(question('llama-3.1-70b', 'h100', ['q4_k_m']))
    expect((eight?.weightBytes ?? 0) / 1e9).toBeCloseTo(4.9, 1)
    expect((seventy?.weightBytes ?? 0) / 1e9).toBeCloseTo(43.1, 0)
  })

  it('doubles arithmetic for FP8 on an H100, and gives weight-only formats bytes but no flops', () => {
    const [bf16, fp8, int4, fp4] = comparePrecisions(question('llama-3.1-70b', 'h100', ['bf16', 'fp8', 'int4', 'fp4']))
    expect(bf16).toMatchObject({ native: true, prefillFactor: 1, decodeFactor: 1, fewestGpus: 2 })
    expect(fp8).toMatchObject({ native: true, computedIn: 'fp8', fewestGpus: 1 })
    expect(fp8?.peakRatio).toBeCloseTo(2, 2)
    expect(fp8?.prefillFactor).toBeGreaterThan(1.5)
    for (const narrow of [int4, fp4]) {
      expect(narrow).toMatchObject({ native: false, computedIn: 'bf16', peakRatio: 1 })
      expect(narrow?.prefillFactor).toBeLessThan(1.05)
      expect(narrow?.decodeFactor).toBeGreaterThan(1.5)
      expect(narrow?.prediction?.extrapolated.length).toBeGreaterThan(0)
    }
  })

  it('multiplies FP4 natively on a B200', () => {
    const [fp4] = comparePrecisions(question('llama-3.1-70b', 'b200', ['fp4']))
    expect(fp4).toMatchObject({ native: true, computedIn: 'fp4', peakRatio: 4 })
  })

  it('compares speeds of formats that do not fit too, and says why they do not', () => {
    const [bf16] = comparePrecisions(question('llama-3.1-70b', 'h100', ['bf16'], 1))
    expect(bf16?.prediction).toBeUndefined()
    expect(bf16?.reason).toMatch(/each GPU lacks \d+ bytes/)
    expect(bf16?.decodeFactor).toBe(1)
  })

  it('knows every format of the table by its bits: fewer bits, fewer bytes, no slower step', () => {
    const rows = comparePrecisions(
      question(
        'llama-3.1-8b',
        'l40s',
        numberFormats.map(({ id }) => id),
        1,
        1,
      ),
    )
    expect(rows.length).toBeGreaterThanOrEqual(37)
    const gguf = rows
      .filter(({ format }) => format.wholeModel === true)
      .toSorted((a, b) => a.format.bits - b.format.bits)
    for (const [at, row] of gguf.entries()) {
      const next = gguf[at + 1]
      if (next === undefined) continue
      expect(row.weightBytes).toBeLessThanOrEqual(next.weightBytes)
      expect(row.decodeFactor).toBeGreaterThanOrEqual(next.decodeFactor * 0.999_999)
    }
    for (const { format } of rows) expect(format.source.length, format.id).toBeGreaterThan(3)
  })
})

describe('compareSparsity()', () => {
  it('bounds what 2:4 gives FP8: at most twice the prefill and 8/5 of the decode step, with the loss beside it', () => {
    const bounds = compareSparsity(question('llama-3.1-70b', 'h100', []))
    const fp8 = bounds.find(({ format }) => format.id === 'fp8')
    expect(fp8?.verdict).toMatchObject({ bitsPerWeight: 5, readGain: 1.6 })
    expect(fp8?.prefillBound).toBeGreaterThan(1.2)
    expect(fp8?.prefillBound).toBeLessThanOrEqual(2)
    expect(fp8?.decodeBound).toBeGreaterThan(1.1)
    expect(fp8?.decodeBound).toBeLessThanOrEqual(1.6)
    expect(fp8?.verdict.verdict).toMatch(/2\.724/)
  })

  it('promises nothing on a GPU without sparse units', () => {
    expect(compareSparsity(question('llama-3.1-8b', 'm4_max', [], 1))).toEqual([])
  })
})

describe('tensorParallelFor()', () => {
  it('takes the fewest GPUs that hold BF16, or the whole domain where none do', () => {
    expect(tensorParallelFor(resolveModel('llama-3.1-70b').shape, resolveHardware('h100'), resolveEngine('vllm'))).toBe(
      2,
    )
    expect(tensorParallelFor(resolveModel('deepseek-v3').shape, resolveHardware('h100'), resolveEngine('vllm'))).toBe(8)
  })
})
