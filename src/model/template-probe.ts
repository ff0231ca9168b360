import type { ChatTemplate } from './chat-template.ts'
import { plain } from './jinja/index.ts'

/** A tiny conversation in OpenAI's shape. */
export type ProbeMessage = Readonly<Record<string, unknown>>

/** Renders tiny conversations with marked words, to find out what a template does with them. */
export class TemplateProbe {
  readonly #template: ChatTemplate
  readonly #own: Readonly<Record<string, unknown>>

  constructor(template: ChatTemplate, own: Readonly<Record<string, unknown>>) {
    this.#template = template
    this.#own = own
  }

  /** '' where the template refuses. */
  render(messages: readonly ProbeMessage[], more: Readonly<Record<string, unknown>> = {}): string {
    try {
      return plain(this.#template.render({ ...this.#own, ...more, messages }, { add_generation_prompt: false }))
    } catch {
      return ''
    }
  }

  /** Does each of the texts come out exactly once, and each of the names of calls at all (results may repeat them)? */
  shows(
    texts: readonly string[],
    messages: readonly ProbeMessage[],
    names: readonly string[] = [],
    more: Readonly<Record<string, unknown>> = {},
  ): boolean {
    const rendered = this.render(messages, more)
    return texts.every((text) => rendered.split(text).length === 2) && names.every((name) => rendered.includes(name))
  }
}
