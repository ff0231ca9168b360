/** A thread of the engine's process that tokenizes long texts. libllama's vocabulary is read by several threads at once. */
import { workerData } from 'node:worker_threads'
import { answerTasks } from '../answer-tasks.ts'
import type { TextThreadData } from './long-texts.ts'
import { openLibrary } from './native/library.ts'
import { LlamaVocabulary } from './native/llama-vocabulary.ts'
import { createTextTokenizer } from './prompt-tokens.ts'

const { libraryFolder, ...model } = workerData as TextThreadData
const vocabulary = new LlamaVocabulary({ ...model, library: openLibrary(libraryFolder), free: () => {} })

answerTasks(createTextTokenizer(vocabulary))
