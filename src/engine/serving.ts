import { formatBytes, systemClock, TokenmillError, toTokenmillError } from '../core/index.ts'
import { checkEmbeddingInput } from './embedding.ts'
import type {
  EmbeddingReply,
  FromChild,
  JobRequest,
  LoadedModelInfo,
  LoadSpec,
  LoopEvent,
  PromptInput,
  ToChild,
} from './messages.ts'
import { loadLibrary } from './native/library.ts'
import { loadAdapters } from './native/llama-adapter.ts'
import { LlamaBackend } from './native/llama-backend.ts'
import { LlamaEmbedder } from './native/llama-embedder.ts'
import { loadModel, type ModelFacts } from './native/llama-model.ts'
import { LlamaVocabulary } from './native/llama-vocabulary.ts'
import { Outbox } from './outbox.ts'
import { StepLoop } from './step-loop.ts'
import { StepModel } from './step-model.ts'

/** A loaded model that takes messages and steps: the inside of the engine's process, without the process. */
export interface Serving {
  readonly model: LoadedModelInfo
  readonly busy: boolean
  /** Takes a message in; the answer to it where there is one at once. */
  receive(message: ToChild): FromChild | undefined
  /** One step of the loop; what to tell the parent, undefined for nothing new. */
  step(): FromChild | undefined
}

/** Loads the model as the spec says. Throws `startup`. Blocks for as long as loading takes; `onProgress` is called meanwhile. */
export function createServing(spec: LoadSpec, onProgress: (progress: number) => void): Serving {
  const model = loadModel(loadLibrary(spec.libraryFolder), spec.modelPath, spec.gpuLayers, throttled(onProgress))
  const adapters = loadAdapters(model, spec.adapters)
  const threads = spec.threads ?? (model.facts.bytes < smallModelBytes ? 1 : spec.cores)
  const backend = new LlamaBackend(model, { ...spec, cells: decideCells(spec, model.facts), threads }, adapters)
  const vocabulary = new LlamaVocabulary(model)
  const stepModel = new StepModel()
  warmUp(backend, stepModel)
  const loop = new StepLoop(backend, vocabulary, stepModel, systemClock, spec)
  const rejections: LoopEvent[] = []
  let embedder: LlamaEmbedder | undefined
  const outbox = new Outbox(spec.streamIntervalMs)
  const tell = (nowMs: number): FromChild => ({ type: 'step', events: outbox.take(nowMs), status: loop.status() })
  return {
    model: {
      contextTokens: backend.shape.sequenceCells,
      cells: backend.shape.cells,
      vocabulary: backend.shape.vocabulary,
      threads,
      parameters: model.facts.parameters,
      bytes: model.facts.bytes,
    },
    get busy() {
      return loop.busy || rejections.length > 0
    },
    receive(message) {
      if (message.type === 'submit') {
        try {
          submit(loop, vocabulary, backend.shape.sequenceCells, message.job, message.input)
        } catch (error) {
          const { code, message: text, details } = toTokenmillError(error)
          rejections.push({ type: 'failed', key: message.job.key, code, message: text, details })
        }
        // The next step computes a prompt: what is held back would wait for all of it.
        return outbox.isEmpty ? undefined : tell(systemClock.now())
      }
      if (message.type === 'cancel') {
        loop.cancel(message.key)
        return tell(systemClock.now())
      }
      if (message.type === 'load') throw new Error('A model is loaded already.')
      if (message.type === 'embed') {
        return answered(message.call, () => {
          embedder ??= new LlamaEmbedder(model, threads, spec.maxEmbeddingTokens, adapters)
          return embedTexts(embedder, vocabulary, message, backend.shape.vocabulary)
        })
      }
      return answerCall(message, vocabulary, backend.shape.vocabulary)
    },
    step() {
      const beganAtMs = systemClock.now()
      const events = [...rejections.splice(0), ...(loop.busy ? loop.step() : [])]
      const nowMs = systemClock.now()
      const due = outbox.add(events, nowMs, nowMs - beganAtMs)
      return due || !loop.decodesOnly ? tell(nowMs) : undefined
    },
  }
}

/** Bytes under which a model runs fastest with one thread: its step is shorter than a thread's way to the next core. */
const smallModelBytes = 32e6
/** Cells of a slot by default: conversations of some thousand words. */
const defaultSlotCells = 4096
const bytesPerValue = { f16: 2, q8_0: 34 / 32, q4_0: 18 / 32 } as const

/** KV cells in all. libllama touches them all at start, so they must fit into the memory there is. */
function decideCells(spec: LoadSpec, facts: ModelFacts): number {
  const cellBytes = facts.kvValuesPerToken * bytesPerValue[spec.kvType]
  const availableBytes = process.availableMemory()
  if (spec.ctx === undefined) {
    const trained = facts.trainedContext > 0 ? facts.trainedContext : defaultSlotCells
    const wanted = Math.min(trained, defaultSlotCells) * spec.slots
    const affordable = Math.floor(availableBytes / 2 / Math.max(1, cellBytes))
    return Math.max(256 * spec.slots, Math.min(wanted, affordable))
  }
  const neededBytes = spec.ctx * cellBytes
  if (neededBytes > availableBytes) {
    throw new TokenmillError(
      'startup',
      `${spec.ctx} KV cells of ${spec.kvType} need ${formatBytes(neededBytes)}; ${formatBytes(availableBytes)} of memory are available. ` +
        `Choose a smaller --ctx, fewer --slots, or --kv-type q8_0.`,
    )
  }
  return spec.ctx
}

/** First steps touch weights and build graphs: the first request should not pay for that, and the step model learns. */
function warmUp(backend: LlamaBackend, model: StepModel): void {
  for (const tokens of [16, 1, 16, 1]) {
    for (let at = 0; at < tokens; at += 1) {
      backend.batch.token[at] = 0
      backend.batch.position[at] = at
      backend.batch.stream[at] = 0
      backend.batch.output[at] = at === tokens - 1 ? 1 : 0
    }
    backend.batch.count = tokens
    const beganAtMs = systemClock.now()
    backend.decode()
    if (tokens === 1) model.observe(1, 0, systemClock.now() - beganAtMs)
    else model.observe(0, tokens, systemClock.now() - beganAtMs)
    backend.clear(0)
  }
}

function answerCall(message: TextCall, vocabulary: LlamaVocabulary, vocabularySize: number): FromChild {
  const { call } = message
  if (message.type === 'tokenize') {
    const tokens = vocabulary.tokenize(message.text, message.addSpecial, message.parseSpecial)
    return { type: 'reply', call, value: Array.from(tokens) }
  }
  const foreign = message.tokens.find((token) => !isToken(token, vocabularySize))
  if (foreign === undefined) return { type: 'reply', call, value: vocabulary.detokenize(message.tokens) }
  const text = foreignToken(foreign, vocabularySize).message
  return { type: 'replyFailed', call, code: 'invalid_request', message: text }
}

/** The reply to a call, or why it failed. */
function answered(call: number, work: () => EmbeddingReply): FromChild {
  try {
    return { type: 'reply', call, value: work() }
  } catch (error) {
    const { code, message, details } = toTokenmillError(error)
    return { type: 'replyFailed', call, code: code === 'internal' ? 'engine_failed' : code, message, details }
  }
}

function embedTexts(
  embedder: LlamaEmbedder,
  vocabulary: LlamaVocabulary,
  { inputs, adapter }: Extract<ToChild, { type: 'embed' }>,
  vocabularySize: number,
): EmbeddingReply {
  const sequences = inputs.map((input, at) => {
    const foreign = typeof input === 'string' ? undefined : input.find((token) => !isToken(token, vocabularySize))
    if (foreign !== undefined) throw foreignToken(foreign, vocabularySize)
    const tokens = typeof input === 'string' ? vocabulary.tokenize(input, true, false) : Int32Array.from(input)
    checkEmbeddingInput(tokens.length, embedder.maxTokens, at)
    return tokens
  })
  return { vectors: embedder.embed(sequences, adapter), tokens: sequences.reduce((sum, { length }) => sum + length, 0) }
}

type TextCall = Extract<ToChild, { type: 'tokenize' | 'detokenize' }>

function submit(
  loop: StepLoop,
  vocabulary: LlamaVocabulary,
  contextTokens: number,
  job: JobRequest,
  input: PromptInput,
): void {
  const prompt = toPrompt(vocabulary, input, loop.vocabularySize)
  if (prompt.length === 0)
    throw new TokenmillError('invalid_request', 'The prompt is empty; send at least one token.', { param: 'prompt' })
  if (prompt.length >= contextTokens) {
    throw new TokenmillError(
      'context_length_exceeded',
      `The prompt is ${prompt.length} tokens; the context of a sequence is ${contextTokens} tokens, output included. ` +
        `Shorten the prompt, or serve with a larger --ctx or fewer --slots.`,
      { limit: 'ctx', maximum: contextTokens, actual: prompt.length, unit: 'tokens' },
    )
  }
  const shownTokens = new Set<number>()
  for (const text of job.shownTexts) {
    const tokens = vocabulary.tokenize(text, false, true)
    if (tokens.length === 1) shownTokens.add(tokens[0] as number)
  }
  loop.submit({ ...job, prompt, shownTokens })
}

function toPrompt(vocabulary: LlamaVocabulary, input: PromptInput, size: number): Int32Array {
  if (input.kind === 'text') return vocabulary.tokenize(input.text, input.addSpecial, input.parseSpecial)
  const foreign = input.tokens.find((token) => !isToken(token, size))
  if (foreign !== undefined) throw foreignToken(foreign, size)
  return Int32Array.from(input.tokens)
}

function isToken(token: number, vocabularySize: number): boolean {
  return Number.isInteger(token) && token >= 0 && token < vocabularySize
}

function foreignToken(token: number, vocabularySize: number): TokenmillError {
  return new TokenmillError(
    'invalid_request',
    `Token ${token} is not in the vocabulary; its ids are 0 to ${vocabularySize - 1}.`,
    {
      param: 'prompt',
    },
  )
}

/** Passes progress on in steps of a percent: libllama reports after every tensor. */
function throttled(onProgress: (progress: number) => void): (progress: number) => void {
  let told = -1
  return (progress) => {
    if (progress - told < 0.01 && progress < 1) return
    told = progress
    onProgress(progress)
  }
}
