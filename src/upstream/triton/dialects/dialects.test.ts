import { describe, expect, it } from 'vitest'
import { createRequest, sampling } from '../../../../tests/support/generation-request.ts'
import type { GenerationRequest } from '../../../inference/index.ts'
import type { TritonAsk, TritonDialect } from '../dialect.ts'
import type { OutputTensors } from '../tensors.ts'
import type { TritonModel } from '../transport.ts'
import { tritonDialectOf } from './index.ts'

function modelOf(inputs: readonly string[], parameters: Readonly<Record<string, string>> = {}): TritonModel {
  return {
    name: 'm',
    inputs: new Set(inputs),
    outputs: new Set(['text_output']),
    batched: false,
    decoupled: true,
    parameters: new Map(Object.entries(parameters)),
  }
}

const request = createRequest({
  id: 'r',
  model: 'm',
  input: { kind: 'text', text: 'a' },
  maxTokens: 4,
  sampling: sampling({ temperature: 0.5, topP: 0.9 }),
})

function askFor(model: TritonModel, changes: Partial<GenerationRequest> = {}): TritonAsk {
  const asked = { ...request, ...changes }
  return { request: asked, model, prompt: 'a', maxTokens: 4, seed: 3, stop: asked.stop, showSpecialTokens: false }
}

function dialectOf(model: TritonModel): TritonDialect {
  const dialect = tritonDialectOf(model)
  if (dialect === undefined) throw new Error('no dialect')
  return dialect
}

const outputs = (fields: Readonly<Record<string, string | number>>): OutputTensors =>
  new Map(Object.entries(fields).map(([name, value]) => [name, [value]]))

const ensembleInputs = ['text_input', 'max_tokens', 'temperature', 'top_p', 'top_k', 'stop_words']
const llmApiInputs = ['text_input', 'sampling_param_max_tokens', 'sampling_param_temperature', 'sampling_param_top_p']

describe('tritonDialectOf()', () => {
  it('knows no way to generate text with a classifier', () => {
    expect(tritonDialectOf(modelOf(['pixels']))).toBeUndefined()
    expect(tritonDialectOf(modelOf(['text_input']))).toBeUndefined()
    expect(tritonDialectOf({ ...modelOf(ensembleInputs), outputs: new Set(['embedding']) })).toBeUndefined()
  })
})

describe("vLLM's backend", () => {
  it('takes min_tokens and stop_token_ids among its sampling parameters', () => {
    const model = modelOf(['text_input', 'sampling_parameters'])
    const tensors = dialectOf(model).encode(askFor(model, { minTokens: 2, stopTokens: [5] }))
    const parameters = tensors.find(({ name }) => name === 'sampling_parameters')?.values[0]
    expect(JSON.parse(String(parameters))).toMatchObject({ min_tokens: 2, stop_token_ids: [5] })
  })
})

describe("TensorRT-LLM's ensemble", () => {
  it('takes min_tokens where it has the tensor, and stop_token_ids never', () => {
    const model = modelOf([...ensembleInputs, 'min_tokens'])
    expect(dialectOf(model).extensions(model)).toEqual(['minTokens'])
    const tensors = dialectOf(model).encode(askFor(model, { minTokens: 2 }))
    expect(tensors).toContainEqual({ name: 'min_tokens', type: 'INT32', values: [2] })
    expect(() => dialectOf(model).encode(askFor(model, { stopTokens: [5] }))).toThrow(/'stop_token_ids'/)
    const plain = modelOf(ensembleInputs)
    expect(dialectOf(plain).extensions(plain)).toEqual([])
    expect(() => dialectOf(plain).encode(askFor(plain, { minTokens: 2 }))).toThrow(/'min_tokens'/)
  })

  it('is asked for a guide in its own words, and refuses one where it has no tensor for it', () => {
    const guided = modelOf([...ensembleInputs, 'guided_decoding_guide_type', 'guided_decoding_guide'])
    const constraint = { kind: 'jsonSchema', name: 's', schema: { type: 'object' }, strict: true } as const
    expect(dialectOf(guided).encode(askFor(guided, { constraint }))).toEqual(
      expect.arrayContaining([
        { name: 'guided_decoding_guide_type', type: 'BYTES', values: ['json_schema'] },
        { name: 'guided_decoding_guide', type: 'BYTES', values: ['{"type":"object"}'] },
      ]),
    )
    const plain = modelOf(ensembleInputs)
    expect(() => dialectOf(plain).encode(askFor(plain, { constraint }))).toThrow(/does not support 'response_format'/)
  })

  it('repeats the whole text in each response where it accumulates tokens, and only there', () => {
    const texts = ['a', 'a a', 'a a b']
    for (const [accumulates, expected] of [
      ['true', ['a', ' a', ' b']],
      ['false', texts],
    ] as const) {
      const model = modelOf(ensembleInputs, { accumulate_tokens: accumulates })
      const read = dialectOf(model).reader(askFor(model))
      expect(texts.map((text) => read(outputs({ text_output: text })).text)).toEqual(expected)
    }
  })

  it('says that the length ended it once as many tokens have come', () => {
    const model = modelOf(ensembleInputs)
    const read = dialectOf(model).reader(askFor(model))
    const ends = [1, 2, 1].map((count) => read(outputs({ text_output: 'a', num_output_tokens: count })).finish)
    expect(ends).toEqual([undefined, undefined, 'length'])
  })
})

describe("TensorRT-LLM's LLM API", () => {
  it('holds a half character back until the rest of it has come', () => {
    const model = modelOf(llmApiInputs)
    const read = dialectOf(model).reader(askFor(model))
    const said = ['caf\uFFFD', 'café', 'café 日', 'café 日'].map((text, at) =>
      read(outputs({ text_output: text, finish_reason: at === 3 ? 'stop' : 'None', stop_reason: 'None' })),
    )
    expect(said.map(({ text }) => text)).toEqual(['caf', 'é', ' 日', ''])
    expect(said.at(-1)).toMatchObject({ finish: 'stop', stopReason: undefined })
  })

  it('is greedy by its most likely token, since its temperature may not be 0', () => {
    const model = modelOf([...llmApiInputs, 'sampling_param_top_k'])
    const sampling = { ...request.sampling, temperature: 0 }
    const names = dialectOf(model)
      .encode(askFor(model, { sampling }))
      .map(({ name, values }) => [name, values])
    expect(names).toContainEqual(['sampling_param_top_k', [1]])
    expect(names.map(([name]) => name)).not.toContain('sampling_param_temperature')
  })
})
