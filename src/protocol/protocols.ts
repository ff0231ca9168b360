import { llamaServer } from './llama-server/index.ts'
import { openAi } from './openai/index.ts'
import type { Protocol } from './protocol.ts'

/** The protocols that clients may speak. */
export const protocols: readonly Protocol[] = [openAi, llamaServer]
