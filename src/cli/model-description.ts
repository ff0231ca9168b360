import { globSync, statSync } from 'node:fs'
import { formatBytes } from '../core/index.ts'
import {
  createChatFormat,
  fitModel,
  precisionOf,
  readGgufMetadata,
  shardOf,
  type MemoryProfile,
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
  const profiles = fitModel(model, bytes, contextTokens, slots, availableBytes)
  const precision = precisionOf(model)
  const { chatTemplate } = model.chat
  const convention = chatTemplate === undefined ? undefined : createChatFormat(model.chat).convention
  const { shape } = model
  const lines = [
    ['name', model.name ?? '(none)'],
    ['architecture', model.architecture],
    [
      'weights',
      `${count(model.parameters)} in ${formatBytes(bytes)}${files.length > 1 ? `, ${files.length} files` : ''}`,
    ],
    ['precision', precision.map(({ type, share }) => `${type} ${(share * 100).toFixed(1)} %`).join(', ')],
    ['context', `${model.contextTokens ?? 'unknown'} tokens`],
    ['vocabulary', `${model.vocabularyTokens ?? 'unknown'} tokens`],
    [
      'shape',
      `${shape.layers} layers of ${shape.embeddingLength}, ${shape.heads} heads, ${shape.kvHeads} for keys and values`,
    ],
    ...(shape.experts ? [['experts', `${shape.expertsUsed} of ${shape.experts} at a time`]] : []),
    [
      'chat',
      convention === undefined
        ? 'no template: completions only'
        : `template of ${chatTemplate?.length} characters, tool calls as ${convention}`,
    ],
  ]
  const text = [
    ...lines.map(([key = '', value = '']) => `${key.padEnd(14)}${value}`),
    '',
    `Memory at ${contextTokens} tokens in each of ${slots} slots; ${formatBytes(availableBytes)} are available here:`,
    ...profileLines(profiles),
    '',
  ].join('\n')
  return {
    text,
    facts: {
      file,
      bytes,
      name: model.name,
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
