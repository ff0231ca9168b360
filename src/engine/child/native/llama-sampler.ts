import type { Sampler, SamplerSpec } from '../backend.ts'
import type { Pointer } from './abi.ts'
import { GrammarSampler } from './grammar-sampler.ts'
import { call } from './llama-model.ts'
import { RowDraw } from './row-draw.ts'
import type { SamplerPlace } from './sampler-place.ts'

/** How one sequence draws: by libllama's own samplers, over the tokens that can win. It owns native objects until `free`. */
export function createSampler(place: SamplerPlace, spec: SamplerSpec): Sampler {
  const { temperature, grammar } = spec
  const changing = changesLogits(spec) ? createChanging(place, spec) : null
  if (changing === null && grammar === undefined && temperature <= 0) return place.rowSampler.greedy
  const draw = new RowDraw(place, { changing, drawing: createDrawing(place, spec), temperature })
  return grammar === undefined ? draw : new GrammarSampler(place, draw, grammar)
}

function changesLogits(spec: SamplerSpec): boolean {
  const { logitBias, presencePenalty, frequencyPenalty, repetitionPenalty, dry } = spec
  if (logitBias.length > 0 || dry !== undefined) return true
  return presencePenalty !== 0 || frequencyPenalty !== 0 || repetitionPenalty !== 1
}

/** The order of both chains is that of OpenAI's and vLLM's parameters: bias and penalties, then temperature, then what cuts the tail. */
function createChanging(place: SamplerPlace, spec: SamplerSpec): Pointer {
  const { chain, add } = createChain(place)
  const vocabulary = place.model.facts.vocabularySize
  if (spec.logitBias.length > 0) {
    const entries = spec.logitBias.filter(([token]) => token >= 0 && token < vocabulary)
    add('logit_bias', vocabulary, entries.length, encodeBiases(entries))
  }
  const window = place.sequenceCells
  const see = (sampler: Pointer) => {
    for (const token of spec.prompt) call(place.model.library.llama['llama_sampler_accept'], sampler, token)
  }
  if (spec.presencePenalty !== 0 || spec.frequencyPenalty !== 0) {
    add('penalties', vocabulary, window, 1, spec.frequencyPenalty, spec.presencePenalty)
  }
  if (spec.repetitionPenalty !== 1) {
    const back = Math.min(window, spec.repetitionWindow ?? window)
    see(add('penalties', vocabulary, back, spec.repetitionPenalty, 0, 0))
  }
  if (spec.dry !== undefined) {
    const { multiplier, base, allowedLength, breakers } = spec.dry
    const back = Math.min(window, spec.dry.window ?? window)
    see(add('dry', place.model.vocabulary, multiplier, base, allowedLength, back, breakers, breakers.length))
  }
  return chain
}

/** From how many tokens Mirostat 1.0 estimates the distribution's slope: as in its paper. */
const mirostatTokens = 100

/**
 * The cut to the most likely candidates comes before all that needs an exponential per candidate: over 128,000
 * candidates those cost 3 to 12 ms a token, over a thousand nothing.
 */
function createDrawing(place: SamplerPlace, spec: SamplerSpec): Pointer {
  const { chain, add } = createChain(place)
  if (spec.temperature <= 0) {
    add('greedy')
    return chain
  }
  const topK = spec.topK > 0 ? spec.topK : place.candidates
  if (topK > 0) add('top_k', topK)
  if (spec.temperature !== 1) add('temp', spec.temperature)
  const { mirostat, typicalP, xtc } = spec
  if (mirostat !== undefined) {
    const { version, tau, eta } = mirostat
    if (version === 2) add('mirostat_v2', spec.seed, tau, eta)
    else add('mirostat', place.model.facts.vocabularySize, spec.seed, tau, eta, mirostatTokens)
    return chain
  }
  if (typicalP !== undefined) add('typical', typicalP, 1)
  if (spec.minP > 0) add('min_p', spec.minP, 1)
  if (spec.topP < 1) add('top_p', spec.topP, 1)
  if (xtc !== undefined) add('xtc', xtc.probability, xtc.threshold, 1, spec.seed)
  add('dist', spec.seed)
  return chain
}

function createChain({ model }: SamplerPlace) {
  const { llama } = model.library
  const chain = call(llama['llama_sampler_chain_init'], { no_perf: true }) as Pointer
  const add = (name: string, ...parameters: unknown[]) => {
    const sampler = call(llama[`llama_sampler_init_${name}`], ...parameters) as Pointer
    call(llama['llama_sampler_chain_add'], chain, sampler)
    return sampler
  }
  return { chain, add }
}

/** `llama_logit_bias[]`: int32 token, float bias. */
function encodeBiases(entries: SamplerSpec['logitBias']): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(Math.max(8, entries.length * 8)))
  for (const [at, [token, bias]] of entries.entries()) {
    bytes.setInt32(at * 8, token, true)
    bytes.setFloat32(at * 8 + 4, bias, true)
  }
  return new Uint8Array(bytes.buffer)
}
