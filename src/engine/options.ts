import { z } from 'zod'
import { defineOptions, parseDurationMs, type OptionValues } from '../core/index.ts'

const count = z.coerce.number().int().positive()
const durationMs = z.union([z.number(), z.string()]).transform((value, context) => {
  const ms = typeof value === 'number' ? value : parseDurationMs(value)
  if (ms !== undefined && ms > 0) return ms
  context.addIssue({ code: 'custom', message: `'${value}' is no duration; write 200ms, 2s or 5m.` })
  return z.NEVER
})

/** Settings of one embedded engine: one model in one process. */
export const engineOptions = defineOptions({
  ctx: {
    schema: count,
    value: '<tokens>',
    unit: 'tokens',
    help: 'Context of each sequence, prompt and answer together (default: 4096, less where the model or half of the free memory ends)',
    reason:
      'each slot has its own cells: attention then reads one sequence alone, 20 to 40 % faster than a common pool',
  },
  ctxTotal: {
    schema: count,
    value: '<cells>',
    unit: 'tokens',
    help: 'KV cells of all sequences together, instead of --ctx for each',
    reason: 'what memory is planned by; with --kv-layout unified one sequence may use all of them',
  },
  chatTemplate: {
    schema: z.string().min(1),
    value: '<file|name>',
    help: 'Chat template in place of the one in the model file: a Jinja file, a tokenizer_config.json, or a name (chatml, llama-2, llama-3, mistral, gemma, phi-3, zephyr, vicuna, alpaca)',
  },
  slots: {
    schema: count.max(256),
    default: 24,
    value: '<count>',
    help: 'Sequences computed at once',
    reason:
      'decoding 16 sequences costs some three times a single one, and a few more places let arrivals in beside them; libllama allows 256',
  },
  kvLayout: {
    schema: z.enum(['streams', 'unified']),
    default: 'streams',
    value: '<layout>',
    choices: ['streams', 'unified'],
    help: 'streams: each slot has its share of the KV cells; unified: any sequence may use all of them, and the newest waits when they run out',
    reason: 'measured in docs/decisions/0011-kv-streams-with-copies.md',
  },
  kvType: {
    schema: z.enum(['f16', 'q8_0', 'q4_0']),
    default: 'f16',
    value: '<type>',
    choices: ['f16', 'q8_0', 'q4_0'],
    help: 'Number format of the KV cache',
    reason: 'f16 loses nothing; q8_0 halves and q4_0 quarters the memory',
  },
  threads: {
    schema: count.max(512),
    value: '<count>',
    help: 'Threads of the engine (default: the CPU quota, one for a model under 32 MB)',
    reason: 'a tiny model spends its step on threads waiting for each other',
  },
  gpuLayers: {
    schema: z.coerce.number().int().min(0),
    value: '<count>',
    help: 'Layers computed on the GPU, where a GPU pack is installed (default: all that fit)',
  },
  flashAttn: {
    schema: z.enum(['auto', 'on', 'off']),
    default: 'auto',
    value: '<when>',
    choices: ['auto', 'on', 'off'],
    help: 'Flash attention',
    reason: 'libllama knows which backends have it for a model',
  },
  rowPadding: {
    schema: z.enum(['auto', 'on', 'off']),
    default: 'auto',
    value: '<when>',
    choices: ['auto', 'on', 'off'],
    help: 'Compute a row or two for nothing where four rows take less time than three (auto: measured when the model is loaded)',
    reason: 'three streams of quantized weights on a CPU: 10.8 ms a step alone, 5.9 ms with a fourth row',
  },
  stepTargetMs: {
    schema: durationMs,
    value: '<duration>',
    unit: 'ms',
    help: 'Time a step may take while prompts are computed beside running streams (default: 1.75 times a step without prompts, at least 20ms)',
    reason:
      'a running stream then rarely sees a gap above twice its usual one; smaller targets waste passes over the weights',
  },
  longestStepMs: {
    schema: durationMs,
    default: 1000,
    value: '<duration>',
    unit: 'ms',
    help: 'Time a step may take where nothing streams',
    reason: 'a cancellation takes effect after the current step',
  },
  streamIntervalMs: {
    schema: z.union([z.literal(0), z.literal('0').transform(() => 0), durationMs]),
    default: 20,
    value: '<duration>',
    unit: 'ms',
    help: 'Longest that a token waits for the next ones, to leave with them; 0: each step tells at once. First tokens never wait',
    reason: 'a token of 3 ms costs 0.3 ms more to deliver alone; 50 deliveries a second are faster than people see',
  },
  idleUnloadMs: {
    schema: durationMs,
    value: '<duration>',
    unit: 'ms',
    help: 'Unload the model after this long without requests; the next request loads it again (default: never)',
  },
  maxSilenceMs: {
    schema: durationMs,
    default: 120_000,
    value: '<duration>',
    unit: 'ms',
    help: "Longest silence of an engine's process that has work; then it is ended and started again",
    reason: 'it reports at least after every step; only native code that hangs takes minutes',
  },
  samplingCandidates: {
    schema: z.coerce.number().int().min(0),
    default: 1000,
    value: '<count>',
    unit: 'tokens',
    help: 'Most likely tokens among which one is drawn where a request sets no top_k; 0: all',
    reason:
      'drawing among 128,000 costs 3 to 12 ms a token; the first thousand hold all but a trace of the probability',
  },
  maxEngineRequests: {
    schema: count,
    default: 1024,
    value: '<count>',
    unit: 'requests',
    help: 'Most requests inside one engine, running and waiting',
    reason: 'a waiting request holds its prompt, some kilobytes; admission in front of the engine keeps far below',
  },
  maxEmbeddingTokens: {
    schema: count,
    default: 2048,
    value: '<tokens>',
    unit: 'tokens',
    help: 'Longest input of /v1/embeddings',
    reason: 'a pooled input is computed in one piece; the memory for that grows with it',
  },
  maxConstraintBytes: {
    schema: count,
    default: 1024 * 1024,
    value: '<bytes>',
    unit: 'bytes',
    help: 'Longest JSON Schema and tools of a request, as the texts in them and 8 bytes a value',
    reason: 'five hundred tools make 300 KB; all of it is copied to the thread that compiles',
  },
  maxPreparationMs: {
    schema: durationMs,
    default: 10_000,
    value: '<duration>',
    unit: 'ms',
    help: "Longest that a request's chat template, or its schema, may take to be worked out",
    reason: 'large schemas take a second alone, and several beside running streams; the next request waits for them',
  },
  maxPreparationBytes: {
    schema: count,
    default: 256 * 1024 * 1024,
    value: '<bytes>',
    unit: 'bytes',
    help: 'Memory in which chat templates, or schemas, are worked out',
    reason: 'a template whose output explodes ends there; a prompt of 16 MB fits',
  },
  maxTokenizeBytes: {
    schema: count,
    default: 512 * 1024,
    value: '<bytes>',
    unit: 'bytes',
    help: 'Longest text of /tokenize; tokens of /detokenize count four bytes each',
    reason: 'some 130,000 tokens of prose; longer answers would hold up the thread that serves all clients',
  },
  maxGrammarBytes: {
    schema: count,
    default: 256 * 1024,
    value: '<bytes>',
    unit: 'bytes',
    help: 'Longest grammar of a request',
    reason: 'large schemas make 50 KB; parsing happens between two steps of everybody',
  },
})

export type EngineOptionValues = OptionValues<typeof engineOptions>
