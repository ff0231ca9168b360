import type { GenerationEvent, GenerationRequest } from '../inference/index.ts'

/** A generation request as a codec read it: what to ask the engine, and how to write what it answers. */
export interface GenerationCall {
  /** As the client named it; undefined where it named none. */
  readonly model: string | undefined
  readonly stream: boolean
  /** One for each prompt. All are generated at the same time; choices are numbered through. */
  readonly drafts: readonly GenerationDraft[]
  /** The answer repeats the prompts: those given as tokens are to be detokenized first. */
  readonly echo: boolean
  /** The writer of this answer. `promptTexts` are there when `echo` is. */
  encoder(identity: AnswerIdentity): GenerationEncoder
}

/** A GenerationRequest before the server gives it an id and the engine's name of the model. */
export type GenerationDraft = Omit<GenerationRequest, 'id' | 'model'>

export interface AnswerIdentity {
  readonly id: string
  /** Seconds since the Unix epoch. */
  readonly created: number
  /** The name the client asked for, whatever the engine calls it. */
  readonly model: string
  /** Equal for equal model, build and settings; undefined where the engine does not tell. */
  readonly fingerprint?: string | undefined
  readonly promptTexts: readonly string[] | undefined
}

/**
 * Turns an engine's events into the answer's text. One that streams returns text for most events; one that
 * answers at once returns '' until `end`. Either way the server's loop is the same.
 */
export interface GenerationEncoder {
  /** What an event of the draft at `prompt` adds to the answer; may be empty. */
  event(prompt: number, event: GenerationEvent): string
  /** The rest, once every draft has ended. */
  end(): string
}
