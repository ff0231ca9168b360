import { readFileSync } from 'node:fs'
import { TokenmillError } from '../core/index.ts'
import type { ChatFormatSource } from './chat-format.ts'
import { templates } from './named-templates.ts'

/** A template by its name, or from a file as `readChatSource` reads it. Throws `startup` for neither. */
export function openChatSource(nameOrFile: string): ChatFormatSource {
  const named = templates.get(nameOrFile)
  if (named !== undefined) return { chatTemplate: named, bosToken: undefined, eosToken: undefined }
  let text: string
  try {
    text = readFileSync(nameOrFile, 'utf8')
  } catch (error) {
    const names = [...templates.keys()].join(', ')
    const message = `The chat template '${nameOrFile}' is no readable file and no known name. Known: ${names}.`
    throw new TokenmillError('startup', message, {}, error)
  }
  return readChatSource(text)
}

/**
 * A chat template as models are published with it: tokenizer_config.json (a template, or several by name; special
 * tokens as text or as objects), or the Jinja text itself. Throws `startup` for JSON without a template.
 */
export function readChatSource(text: string): ChatFormatSource {
  if (!/^\s*\{\s*"/.test(text)) {
    return { chatTemplate: text, bosToken: undefined, eosToken: undefined }
  }
  const config = parse(text)
  const template = config['chat_template']
  const named = Array.isArray(template) ? (template as { name?: unknown; template?: unknown }[]) : []
  const called = (name: string): string | undefined => asText(named.find((entry) => entry.name === name)?.template)
  const chatTemplate = asText(template) ?? called('default')
  if (chatTemplate === undefined) {
    const message =
      'The file of a chat template is JSON without `chat_template`. Name the Jinja file, where there is one.'
    throw new TokenmillError('startup', message)
  }
  return {
    chatTemplate,
    toolTemplate: called('tool_use'),
    bosToken: tokenText(config['bos_token']),
    eosToken: tokenText(config['eos_token']),
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch (error) {
    throw new TokenmillError('startup', 'The file of a chat template looks like JSON but is none.', {}, error)
  }
}

function tokenText(value: unknown): string | undefined {
  if (typeof value === 'object' && value !== null) return asText((value as { content?: unknown }).content)
  return asText(value)
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
