import type { Dialect } from '../dialect.ts'
import { llamaServer } from './llama-server.ts'
import { openai } from './openai.ts'
import { sglang } from './sglang.ts'
import { tokenmill } from './tokenmill.ts'
import { trtllm } from './trtllm.ts'
import { vllm } from './vllm.ts'

/** All dialects by their kind. */
export const dialects: Readonly<Record<Dialect['kind'], Dialect>> = {
  openai,
  vllm,
  sglang,
  trtllm,
  'llama-server': llamaServer,
  tokenmill,
}
