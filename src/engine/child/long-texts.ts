import { toTokenmillError, systemClock, type TokenmillError } from '../../core/index.ts'
import { WorkThread } from '../work-thread.ts'
import type { LlamaModel } from './native/llama-model.ts'
import type { TextTask } from './prompt-tokens.ts'

/** What the tokenizing thread needs of the model: addresses in the memory that it shares, and facts. */
export interface TextThreadData extends Pick<LlamaModel, 'pointer' | 'vocabulary' | 'facts'> {
  readonly libraryFolder: string
}

/**
 * Tokenizes long texts in a thread of its own, one after the other: a megabyte takes half a second, in which streams go
 * on. The thread starts with the first such text.
 */
export class LongTexts {
  readonly #thread: WorkThread<TextTask, Int32Array>
  readonly #cancels = new Map<number, AbortController>()

  constructor({ pointer, vocabulary, facts, library }: LlamaModel) {
    const data: TextThreadData = { pointer, vocabulary, facts, libraryFolder: library.folder }
    const limits = { maxMs: undefined, maxBytes: undefined, maxTasks: Infinity }
    this.#thread = new WorkThread('./child/text-thread', data, limits, systemClock)
  }

  /** Whether the texts together are too long to be tokenized between two steps. */
  static areLong(texts: readonly string[]): boolean {
    return texts.reduce((sum, { length }) => sum + length, 0) > longestBetweenSteps
  }

  /** Calls back with the tokens of all, or with the error; with neither once `key` is cancelled. */
  tokenize(
    key: number,
    tasks: readonly TextTask[],
    done: (tokens: readonly Int32Array[]) => void,
    failed: (error: TokenmillError) => void,
  ): void {
    const controller = new AbortController()
    const { signal } = controller
    this.#cancels.set(key, controller)
    const work = async (): Promise<void> => {
      try {
        const tokens = await Promise.all(tasks.map((task) => this.#thread.run(task, signal)))
        if (this.#cancels.delete(key)) done(tokens)
      } catch (error) {
        if (this.#cancels.delete(key)) failed(toTokenmillError(error))
      }
    }
    void work()
  }

  cancel(key: number): void {
    const controller = this.#cancels.get(key)
    this.#cancels.delete(key)
    controller?.abort()
  }
}

/** UTF-16 units that take some 5 ms to tokenize. */
const longestBetweenSteps = 8192
