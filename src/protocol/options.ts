import { z } from 'zod'
import { defineOptions } from '../core/index.ts'

const count = z.coerce.number().int().min(1)

/** How much one request may ask for. Each bounds memory or engine time that a few bytes could otherwise claim. */
export const protocolOptions = defineOptions({
  maxMessages: {
    schema: count,
    default: 4096,
    value: '<n>',
    help: 'Most messages in a chat',
    reason: 'Templates visit each message; longer histories no longer fit a context',
    unit: 'messages',
  },
  maxTools: {
    schema: count,
    default: 512,
    value: '<n>',
    help: 'Most tools in a request',
    reason: 'Agents send tens; each becomes a part of the prompt and of the grammar',
    unit: 'tools',
  },
  maxChoices: {
    schema: count,
    default: 64,
    value: '<n>',
    help: 'Most choices (n, best_of) for a prompt',
    reason: 'Each is a sequence in the engine, and libllama has 256 of them',
    unit: 'choices',
  },
  maxPrompts: {
    schema: count,
    default: 256,
    value: '<n>',
    help: 'Most prompts in one /v1/completions request',
    reason: 'One request must not fill the queue of an engine',
    unit: 'prompts',
  },
  maxStops: {
    schema: count,
    default: 32,
    value: '<n>',
    help: 'Most stop texts in a request',
    reason: 'Each is searched in every new token; OpenAI allows 4',
    unit: 'texts',
  },
  maxLogitBiases: {
    schema: count,
    default: 1024,
    value: '<n>',
    help: 'Most entries of logit_bias',
    reason: 'Each costs a look-up per token',
    unit: 'entries',
  },
  maxEmbeddingInputs: {
    schema: count,
    default: 2048,
    value: '<n>',
    help: 'Most inputs in one /v1/embeddings request',
    reason: "OpenAI's limit, which client libraries batch by",
    unit: 'inputs',
  },
  maxRerankDocuments: {
    schema: count,
    default: 1024,
    value: '<n>',
    help: 'Most documents in one /v1/rerank request',
    reason: 'Each is one pass through the model',
    unit: 'documents',
  },
  maxJsonDepth: {
    schema: count,
    default: 64,
    value: '<n>',
    help: 'Deepest nesting in tool parameters, schemas and template variables',
    reason: 'What walks them is recursive; real schemas stay under 20',
    unit: 'levels',
  },
})
