/** A served model as the models endpoint shows it. */
export interface ListedModel {
  /** The name clients ask for. */
  readonly id: string
  /** Seconds since the Unix epoch. */
  readonly created: number
  /** Base model of an adapter. */
  readonly parent: string | undefined
  /** File or repository it comes from. */
  readonly root: string
  readonly contextTokens: number | undefined
}

/** OpenAI's model object with vLLM's extras, which adapters' tools read. */
export function toOpenAiModel(model: ListedModel): object {
  return {
    id: model.id,
    object: 'model',
    created: model.created,
    owned_by: 'tokenmill',
    root: model.root,
    parent: model.parent ?? null,
    max_model_len: model.contextTokens ?? null,
  }
}
