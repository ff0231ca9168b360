import { formatBytes, systemClock, TokenmillError, toTokenmillError } from '../../core/index.ts'
import { AsideWork } from './aside-work.ts'
import type { Chunk } from './backend.ts'
import { Encoding } from './encoding.ts'
import { LongTexts } from './long-texts.ts'
import type { FromChild, JobRequest, LoadedModelInfo, LoadSpec, LoopEvent, PromptInput, ToChild } from '../messages.ts'
import { loadLibrary } from './native/library.ts'
import { loadAdapters, type LlamaAdapter } from './native/llama-adapter.ts'
import { LlamaBackend } from './native/llama-backend.ts'
import { loadModel, type LlamaModel, type ModelFacts } from './native/llama-model.ts'
import { LlamaVocabulary } from './native/llama-vocabulary.ts'
import { Outbox } from './outbox.ts'
import { StepLoop } from './step-loop.ts'
import { LearnedStepModel } from './step-model.ts'
import { createTextTokenizer, type TextTask } from './prompt-tokens.ts'
import { checkToken } from './token-check.ts'

/** A loaded model that takes messages and steps: the inside of the engine's process, without the process. */
export interface Serving {
  readonly model: LoadedModelInfo
  readonly busy: boolean
  /** Takes a message in; the answer to it where there is one at once. */
  receive(message: ToChild): FromChild | undefined
  /** One step of the loop, and one batch of what is to be embedded or ranked; what to tell the parent. */
  step(): readonly FromChild[]
}

/**
 * Loads the model as the spec says. Throws `startup`. Blocks for as long as loading takes; `onProgress` is called
 * meanwhile. `onReady`: what a thread beside the loop was doing is done, and the serving is busy with it.
 */
export function createServing(spec: LoadSpec, onProgress: (progress: number) => void, onReady: () => void): Serving {
  const model = loadModel(loadLibrary(spec.libraryFolder), spec.modelPath, spec.gpuLayers, throttled(onProgress))
  const adapters = loadAdapters(model, spec.adapters)
  const threads = spec.threads ?? (model.facts.bytes < smallModelBytes ? 1 : spec.cores)
  const vocabulary = new LlamaVocabulary(model)
  const encoding = new Encoding(
    model,
    vocabulary,
    spec.purpose,
    { threads, maxTokens: spec.maxEmbeddingTokens },
    adapters,
  )
  const aside = new AsideWork(new LongTexts(model), encoding, onReady)
  const loaded = { spec, model, vocabulary, encoding, aside, adapters, threads }
  return spec.purpose === 'generate' ? serveGeneration(loaded) : serveEncoding(loaded)
}

interface Loaded {
  readonly spec: LoadSpec
  readonly model: LlamaModel
  readonly vocabulary: LlamaVocabulary
  readonly encoding: Encoding
  readonly aside: AsideWork
  readonly adapters: readonly LlamaAdapter[]
  readonly threads: number
}

/** A model without a loop: calls alone. */
function serveEncoding({ model: { facts }, vocabulary, encoding, aside, threads }: Loaded): Serving {
  const tokenize = createTextTokenizer(vocabulary)
  return {
    model: {
      contextTokens: encoding.maxTokens,
      cells: 0,
      vocabulary: facts.vocabularySize,
      threads,
      parameters: facts.parameters,
      bytes: facts.bytes,
      // Encoders' tokenizers may make one token of any word.
      longestTokenBytes: Infinity,
    },
    get busy() {
      return encoding.busy || aside.isDone
    },
    receive(message) {
      if (message.type === 'embed' || message.type === 'rank') return aside.encode(message)
      if (message.type === 'cancel') {
        aside.cancel(message.key)
        encoding.cancel(message.key)
        return undefined
      }
      if (message.type === 'tokenize' || message.type === 'detokenize') {
        return aside.answer(message, { use: 'embedding', tokenize }, vocabulary, facts.vocabularySize)
      }
      throw new Error(`A model that generates nothing is sent '${message.type}'.`)
    },
    step: () => [...aside.take(), ...present(encoding.advance(Infinity))],
  }
}

function serveGeneration({ spec, model, vocabulary, encoding, aside, adapters, threads }: Loaded): Serving {
  const backend = new LlamaBackend(model, { ...spec, cells: decideCells(spec, model.facts), threads }, adapters)
  const stepModel = new LearnedStepModel()
  warmUp(backend, stepModel)
  const loop = new StepLoop(backend, vocabulary, stepModel, systemClock, spec)
  const rejections: LoopEvent[] = []
  const tokenize = createTextTokenizer(vocabulary)
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
      longestTokenBytes: backend.longestTokenBytes,
    },
    get busy() {
      return loop.busy || rejections.length > 0 || encoding.busy || aside.isDone
    },
    receive(message) {
      if (message.type === 'submit') {
        const { job, input } = message
        const reject = (error: unknown) => {
          const { code, message: text, details } = toTokenmillError(error)
          rejections.push({ type: 'failed', key: job.key, code, message: text, details })
        }
        const enter = (prompt: Int32Array) => {
          try {
            submit(loop, vocabulary, backend.shape.sequenceCells, job, prompt)
          } catch (error) {
            reject(error)
          }
        }
        if (input.kind === 'text' && LongTexts.areLong([input.text])) {
          aside.tokenize(
            job.key,
            [{ ...input, use: 'prompt' }],
            ([prompt]) => enter(prompt ?? new Int32Array(0)),
            reject,
          )
          return undefined
        }
        try {
          enter(toPrompt(tokenize, input, loop.vocabularySize))
        } catch (error) {
          reject(error)
        }
        // The next step computes a prompt: what is held back would wait for all of it.
        return outbox.isEmpty ? undefined : tell(systemClock.now())
      }
      if (message.type === 'cancel') {
        loop.cancel(message.key)
        aside.cancel(message.key)
        encoding.cancel(message.key)
        return tell(systemClock.now())
      }
      if (message.type === 'load') throw new Error('A model is loaded already.')
      if (message.type === 'embed' || message.type === 'rank') return aside.encode(message)
      return aside.answer(message, { use: 'prompt', tokenize }, vocabulary, backend.shape.vocabulary)
    },
    step() {
      const generates = loop.busy || rejections.length > 0
      const beganAtMs = systemClock.now()
      const events = [...rejections.splice(0), ...(loop.busy ? loop.step() : [])]
      const nowMs = systemClock.now()
      const due = outbox.add(events, nowMs, nowMs - beganAtMs)
      const told = due || (generates && !loop.decodesOnly) ? tell(nowMs) : undefined
      const encoded = encoding.advance(loop.busy ? tokensBesideStreams : Infinity)
      return [...aside.take(), ...present(told, encoded)]
    },
  }
}

function present(...messages: readonly (FromChild | undefined)[]): readonly FromChild[] {
  return messages.filter((message) => message !== undefined)
}

/** Tokens embedded or ranked between two steps of running streams: a longer input delays them more, and is not cut. */
const tokensBesideStreams = 128
/** Bytes under which a model runs fastest with one thread: its step is shorter than a thread's way to the next core. */
const smallModelBytes = 32e6
/** Cells of a stream come in multiples of this. */
const leastStreamCells = 256
/** Cells of a slot by default: conversations of some thousand words. */
const defaultSlotCells = 4096
const bytesPerValue = { f16: 2, q8_0: 34 / 32, q4_0: 18 / 32 } as const

/** KV cells in all. libllama touches them all at start, so they must fit into the memory there is. */
function decideCells(spec: LoadSpec, facts: ModelFacts): number {
  const cellBytes = facts.kvValuesPerToken * bytesPerValue[spec.kvType]
  const availableBytes = process.availableMemory()
  const asked = spec.ctxTotal ?? (spec.ctx === undefined ? undefined : spec.ctx * spec.slots)
  if (asked === undefined) {
    const trained = facts.trainedContext > 0 ? facts.trainedContext : defaultSlotCells
    const wanted = Math.min(trained, defaultSlotCells) * spec.slots
    const affordable = Math.floor(availableBytes / 2 / Math.max(1, cellBytes))
    return Math.max(leastStreamCells * spec.slots, Math.min(wanted, affordable))
  }
  // libllama rounds each stream's cells up itself, but would bound the batch by what was asked.
  const step = leastStreamCells * (spec.kvLayout === 'streams' ? spec.slots : 1)
  const cells = Math.ceil(asked / step) * step
  const neededBytes = cells * cellBytes
  if (neededBytes > availableBytes) {
    throw new TokenmillError(
      'startup',
      `${cells} KV cells of ${spec.kvType} need ${formatBytes(neededBytes)}; ${formatBytes(availableBytes)} of memory are available. ` +
        `Choose a smaller --ctx, fewer --slots, or --kv-type q8_0.`,
    )
  }
  return cells
}

/** First steps touch weights and build graphs: the first request should not pay for that, and the step model learns. */
function warmUp(backend: LlamaBackend, model: LearnedStepModel): void {
  for (const tokens of [16, 1, 16, 1]) {
    const ms = timePass(backend, tokens, 'last')
    if (tokens === 1) model.observe(1, 0, ms)
    else model.observe(0, tokens, ms)
  }
  backend.learnPadding((rows) => timePass(backend, rows, 'all'))
}

/** Computes a prompt of so many tokens, with the logits of its last one, or of all, in the first stream, and forgets it. Returns milliseconds. */
function timePass(backend: LlamaBackend, tokens: number, logits: Chunk['logits']): number {
  const beganAtMs = systemClock.now()
  backend.decode([{ stream: 0, tokens: new Int32Array(tokens), from: 0, count: tokens, logits }], 0)
  const ms = systemClock.now() - beganAtMs
  backend.clear(0)
  return ms
}

function submit(
  loop: StepLoop,
  vocabulary: LlamaVocabulary,
  contextTokens: number,
  job: JobRequest,
  whole: Int32Array,
): void {
  const prompt = truncated(whole, job, contextTokens)
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
  for (const [token] of job.sampling.logitBias) checkToken(token, loop.vocabularySize, 'logit_bias')
  for (const token of job.stopTokens) checkToken(token, loop.vocabularySize, 'stop_token_ids')
  const shownTokens = new Set(controlTokens(vocabulary, job.shownTexts))
  loop.submit({ ...job, prompt, shownTokens, turnEndTokens: controlTokens(vocabulary, job.turnEndTexts) })
}

/** The last tokens of the prompt, where the request wants no more. */
function truncated(prompt: Int32Array, { truncatePromptTokens, maxTokens }: JobRequest, context: number): Int32Array {
  if (truncatePromptTokens === undefined) return prompt
  const room = Math.max(1, context - (maxTokens ?? 1))
  return prompt.subarray(-Math.min(truncatePromptTokens === 'context' ? room : truncatePromptTokens, prompt.length))
}

/** The tokens of those texts that are one token. */
function controlTokens(vocabulary: LlamaVocabulary, texts: readonly string[]): readonly number[] {
  const tokens = texts.map((text) => vocabulary.tokenize(text, false, true))
  return tokens.filter(({ length }) => length === 1).map(([token]) => token as number)
}

function toPrompt(tokenize: (task: TextTask) => Int32Array, input: PromptInput, size: number): Int32Array {
  if (input.kind === 'text') return tokenize({ ...input, use: 'prompt' })
  for (const token of input.tokens) checkToken(token, size, 'prompt')
  return Int32Array.from(input.tokens)
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
