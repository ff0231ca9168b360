import path from 'node:path'
import { createId, defaultValues, TokenmillError } from '../core/index.ts'
import { createEmbeddedEngine, engineOptions } from '../engine/index.ts'
import type { ChatMessage, Engine, FinishReason } from '../inference/index.ts'
import { bundledModel } from './bundled-model.ts'
import type { Io } from './command.ts'
import type { LocalModelValues } from './local-model-options.ts'
import { resolveModelPath } from './model-access.ts'
import { connectEngine } from './remote-engine.ts'

/** A model that one person speaks with. */
export interface TerminalModel {
  readonly name: string
  answer(messages: readonly ChatMessage[], onText: (text: string) => void, signal: AbortSignal): Promise<Answer>
  close(): Promise<void>
}

export interface Answer {
  readonly text: string
  readonly reasoning: string
  readonly reason: FinishReason
  readonly promptTokens: number
  readonly completionTokens: number
  /** From the question to the first text; undefined where none came. */
  readonly ttftMs: number | undefined
  /** (tokens − 1) / (end − first text); undefined under two tokens. */
  readonly tokensPerSecond: number | undefined
}

/** The model that the flags ask for: in a process of its own, or at a running server. */
export async function openTerminalModel(values: LocalModelValues, io: Io): Promise<TerminalModel> {
  const { engine, name } =
    values.url === undefined ? await startEngine(values, io) : await connect(values.url, values, io)
  return {
    name,
    answer: (messages, onText, signal) => answer(engine, name, values, messages, onText, signal),
    close: () => engine.close(),
  }
}

interface NamedEngine {
  readonly engine: Engine
  readonly name: string
}

async function connect(url: string, { model, lora, apiKey }: LocalModelValues, io: Io): Promise<NamedEngine> {
  if (lora !== undefined)
    throw new TokenmillError(
      'invalid_request',
      '--lora and --url exclude each other: the server at --url has its own adapters.',
    )
  return connectEngine(url, model === '' ? undefined : model, apiKey, io)
}

async function startEngine(values: LocalModelValues, io: Io): Promise<NamedEngine> {
  const file = await resolveModelPath(values.model === '' ? bundledModel : values.model, io)
  const base = path.basename(file, '.gguf')
  const adapter = values.lora && { path: await resolveModelPath(values.lora.path, io), scale: values.lora.scale }
  const name = adapter === undefined ? base : `${base} with ${path.basename(adapter.path, '.gguf')}`
  const adapters = adapter === undefined ? [] : [{ name, ...adapter }]
  const engine = createEmbeddedEngine(
    { path: file, name: base, adapters },
    { ...defaultValues(engineOptions), slots: 1 },
  )
  try {
    await engine.ready(io.stop)
  } catch (error) {
    await engine.close()
    throw error
  }
  return { engine, name }
}

/** A cancelled answer is what came until then, with the reason `length`. */
async function answer(
  engine: Engine,
  name: string,
  values: LocalModelValues,
  messages: readonly ChatMessage[],
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<Answer> {
  const system: readonly ChatMessage[] = values.system === '' ? [] : [{ role: 'system', content: values.system }]
  const askedAtMs = performance.now()
  let firstAtMs: number | undefined
  const sofar = { text: '', reasoning: '', reason: 'length' as FinishReason, promptTokens: 0, completionTokens: 0 }
  try {
    for await (const event of engine.generate(toRequest(name, values, [...system, ...messages]), signal)) {
      if (event.type === 'text' || event.type === 'reasoning') {
        if (event.text !== '') firstAtMs ??= performance.now()
        sofar.completionTokens += event.tokens
        sofar[event.type] += event.text
        if (event.type === 'text') onText(event.text)
      } else if (event.type === 'prefilled') sofar.promptTokens = event.promptTokens
      else if (event.type === 'finished') sofar.reason = event.reason
    }
  } catch (error) {
    if (!(error instanceof TokenmillError) || error.code !== 'cancelled') throw error
  }
  const seconds = firstAtMs === undefined ? 0 : (performance.now() - firstAtMs) / 1000
  return {
    ...sofar,
    ttftMs: firstAtMs === undefined ? undefined : firstAtMs - askedAtMs,
    tokensPerSecond: sofar.completionTokens > 1 && seconds > 0 ? (sofar.completionTokens - 1) / seconds : undefined,
  }
}

function toRequest(name: string, values: LocalModelValues, messages: readonly ChatMessage[]) {
  return {
    id: createId('terminal'),
    model: name,
    input: {
      kind: 'chat',
      chat: {
        messages,
        tools: [],
        toolChoice: { kind: 'auto' },
        parallelToolCalls: true,
        reasoningEffort: undefined,
        templateVariables: {},
        continueFinalMessage: false,
      },
    },
    n: 1,
    maxTokens: values.maxTokens,
    stop: [],
    ignoreEos: false,
    sampling: {
      temperature: values.temperature,
      topP: 1,
      topK: 0,
      minP: 0,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: new Map<number, number>(),
      seed: values.seed,
    },
    logprobs: undefined,
    promptLogprobs: undefined,
    constraint: undefined,
    deadlineMs: undefined,
    affinityKey: undefined,
  } as const
}

/** `42 tokens, 118 tokens/s, first after 36 ms` */
export function speedLine({ completionTokens, tokensPerSecond, ttftMs }: Answer): string {
  const parts = [`${completionTokens} tokens`]
  if (tokensPerSecond !== undefined) parts.push(`${tokensPerSecond.toFixed(tokensPerSecond < 10 ? 1 : 0)} tokens/s`)
  if (ttftMs !== undefined) parts.push(`first after ${Math.round(ttftMs)} ms`)
  return parts.join(', ')
}
