import { globSync, statSync } from 'node:fs'
import { formatBytes } from '../core/index.ts'
import {
  createChatFormat,
  fitModel,
  precisionOf,
  readGgufMetadata,
  shardOf,
  type GgufMetadata,
  type MemoryProfile,
  type ModelPurpose,
} from '../model/index.ts'

/** What `models inspect` says, as facts and as text. */
export interface ModelDescription {
  readonly facts: Readonly<Record<string, unknown>>
  readonly text: string
}

export function describeModel(
  file: string,
  contextTokens: number,
  slots: number,
  availableBytes: number,
): ModelDescription {
  const model = readGgufMetadata(file)
  const shard = shardOf(file)
  const files = shard === undefined ? [file] : globSync(`${shard.stem}-*-of-*.gguf`)
  const bytes = files.reduce((sum, part) => sum + statSync(part).size, 0)
  const generates = model.purpose === 'generate'
  const profiles = generates ? fitModel(model, bytes, contextTokens, slots, availableBytes) : []
  const precision = precisionOf(model)
  const { chatTemplate } = model.chat
  const convention = chatTemplate === undefined ? undefined : createChatFormat(model.chat).convention
  const { shape } = model
  const lines = [
    ['name', model.name ?? '(none)'],
    ['made for', purposes[model.purpose]],
    ['architecture', model.architecture],
    [
      'weights',
      `${count(model.parameters)} in ${formatBytes(bytes)}${files.length > 1 ? `, ${files.length} files` : ''}`,
    ],
    ['precision', precision.map(({ type, share }) => `${type} ${(share * 100).toFixed(1)} %`).join(', ')],
    ...(model.purpose === 'adapt' ? [] : shapeLines(model)),
    ...(generates
      ? [
          [
            'chat',
            convention === undefined
              ? 'no template: completions only'
              : `template of ${chatTemplate?.length} characters, tool calls as ${convention}`,
          ],
        ]
      : []),
  ]
  const text = [
    ...lines.map(([key = '', value = '']) => `${key.padEnd(14)}${value}`),
    '',
    ...(generates
      ? [
          `Memory at ${contextTokens} tokens in each of ${slots} slots; ${formatBytes(availableBytes)} are available here:`,
          ...profileLines(profiles),
        ]
      : [
          `Memory: ${formatBytes(bytes)} of weights, and no KV cells; ${formatBytes(availableBytes)} are available here.`,
        ]),
    '',
  ].join('\n')
  return {
    text,
    facts: {
      file,
      bytes,
      name: model.name,
      purpose: model.purpose,
      architecture: model.architecture,
      parameters: model.parameters,
      precision,
      contextTokens: model.contextTokens,
      vocabularyTokens: model.vocabularyTokens,
      shape,
      toolCalls: convention,
      chatTemplate,
      availableBytes,
      profiles,
    },
  }
}

const purposes: Readonly<Record<ModelPurpose, string>> = {
  generate: 'text: /v1/chat/completions, /v1/completions',
  embed: 'vectors of texts: /v1/embeddings',
  rank: 'ranking documents: /v1/rerank',
  adapt: 'changing another model: serve that one with --lora name=path',
}

function shapeLines({ contextTokens, vocabularyTokens, shape }: GgufMetadata): readonly (readonly string[])[] {
  const { layers, embeddingLength, heads, kvHeads, experts, expertsUsed } = shape
  return [
    ['context', `${contextTokens ?? 'unknown'} tokens`],
    ['vocabulary', `${vocabularyTokens ?? 'unknown'} tokens`],
    ['shape', `${layers} layers of ${embeddingLength}, ${heads} heads, ${kvHeads} for keys and values`],
    ...(experts ? [['experts', `${expertsUsed} of ${experts} at a time`]] : []),
  ]
}

function profileLines(profiles: readonly MemoryProfile[]): readonly string[] {
  return (['runnable', 'low memory', 'does not fit'] as const).flatMap((group) => {
    const members = profiles.filter((profile) => profile.group === group)
    return members.length === 0 ? [] : [`  ${group}`].concat(members.map((profile) => `    ${profileLine(profile)}`))
  })
}

function profileLine({ kvType, totalBytes, weightBytes, kvBytes, fittingContextTokens }: MemoryProfile): string {
  const advice = fittingContextTokens === undefined ? '' : `; fits with ${fittingContextTokens} tokens a slot`
  return `--kv-type ${kvType.padEnd(5)} needs ${formatBytes(totalBytes)} (weights ${formatBytes(weightBytes)}, KV cache ${formatBytes(kvBytes)})${advice}`
}

function count(parameters: number): string {
  if (parameters >= 1e9) return `${(parameters / 1e9).toFixed(1)} billion`
  return parameters >= 1e6 ? `${(parameters / 1e6).toFixed(1)} million` : String(parameters)
}
