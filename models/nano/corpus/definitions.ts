import type { Random } from '../../../src/core/index.ts'
import { fill, pick, type Sample } from './sample.ts'

/**
 * One term of docs/glossary.md, which holds the same sentence. `facts`: what an answer must say to count as right.
 */
export interface Definition {
  readonly term: string
  readonly aliases: readonly string[]
  readonly text: string
  readonly facts: readonly string[]
}

const define = (term: string, aliases: string, text: string, facts: string): Definition => ({
  term,
  aliases: aliases === '' ? [] : aliases.split('|'),
  text,
  facts: facts.split('|'),
})

export const definitions: readonly Definition[] = [
  define(
    'goodput',
    '',
    'Goodput is the number of requests per second that meet all their latency objectives.',
    'requests per second|meet|objectives',
  ),
  define(
    'throughput',
    '',
    'Throughput is the number of tokens or requests that a system finishes per second, whether or not they are on time.',
    'per second|whether or not',
  ),
  define(
    'TTFT',
    'time to first token|ttft',
    'TTFT, time to first token, is the time from receiving a request to its first token.',
    'time to first token|first token',
  ),
  define(
    'TPOT',
    'time per output token|tpot',
    'TPOT, time per output token, is the average time between the tokens after the first.',
    'time per output token|average|after the first',
  ),
  define(
    'ITL',
    'inter-token latency|itl',
    'ITL, inter-token latency, is the gap between one token and the next.',
    'inter-token latency|gap',
  ),
  define('stall', '', 'A stall is the longest gap between two tokens of one answer.', 'longest gap'),
  define(
    'SLO',
    'service level objective|slo',
    'An SLO, service level objective, is a limit on latency that a request should meet.',
    'service level objective|limit|latency',
  ),
  define(
    'attainment',
    '',
    'Attainment is the share of requests that met their objectives, counting refusals as misses.',
    'share|met their objectives|refusals',
  ),
  define(
    'interactivity',
    '',
    'Interactivity is the speed that one user sees: tokens per second, the inverse of TPOT.',
    'one user|tokens per second|tpot',
  ),
  define('latency', '', 'Latency is the time from sending a request to receiving its answer.', 'time|request|answer'),
  define(
    'prefill',
    '',
    'Prefill is the phase that reads the whole prompt and fills the KV cache before the first token.',
    'prompt|kv cache|before the first token',
  ),
  define(
    'decode',
    '',
    'Decode is the phase that generates the answer, one token per step for each sequence.',
    'generates|one token',
  ),
  define(
    'KV cache',
    'kv cache|key value cache',
    'The KV cache keeps the keys and values of earlier tokens, so that each step computes only the new token.',
    'keys and values|earlier tokens',
  ),
  define(
    'KV block',
    'kv block',
    'A KV block is a piece of the KV cache with room for a fixed number of tokens.',
    'piece|fixed number of tokens',
  ),
  define(
    'prefix hit',
    'prefix cache hit',
    'A prefix hit means that the start of a prompt is already in the KV cache and need not be computed again.',
    'start of a prompt|already|kv cache',
  ),
  define(
    'token',
    '',
    'A token is a piece of text, often a part of a word, that a model reads or writes as one unit.',
    'piece of text|unit',
  ),
  define('tokenizer', '', 'A tokenizer splits text into tokens and turns tokens back into text.', 'splits text|tokens'),
  define('prompt', '', 'A prompt is the text that a model gets before it answers.', 'text|before it answers'),
  define(
    'context',
    'context window|context length',
    'The context is the largest number of tokens, prompt and answer together, that a model can handle.',
    'largest number of tokens|prompt and answer',
  ),
  define('request', '', 'A request is one HTTP call of a client, the unit of admission and billing.', 'http|client'),
  define(
    'sequence',
    '',
    'A sequence is the row of tokens that an engine extends, one for each answer.',
    'tokens|engine',
  ),
  define('replica', '', 'A replica is one running engine that serves a model.', 'one running engine'),
  define('endpoint', '', 'An endpoint is the address at which a replica answers.', 'address|replica'),
  define(
    'profile',
    '',
    'A profile is an engine, a precision and a parallelism for a model on some hardware.',
    'engine|precision|parallelism|hardware',
  ),
  define(
    'batch',
    '',
    'A batch is a group of sequences that the engine computes in one step.',
    'group of sequences|one step',
  ),
  define(
    'continuous batching',
    '',
    'Continuous batching lets sequences join and leave the batch at every step instead of waiting for the slowest.',
    'join and leave|every step',
  ),
  define(
    'chunked prefill',
    '',
    'Chunked prefill cuts a long prompt into pieces, so that other answers keep flowing between them.',
    'long prompt|pieces',
  ),
  define('step', '', 'A step is one pass of the model over the current batch.', 'one pass|batch'),
  define('scheduler', '', 'A scheduler decides which request runs next and on which replica.', 'which request|replica'),
  define(
    'admission',
    '',
    'Admission is the decision to accept a request, to let it wait or to refuse it.',
    'accept|refuse',
  ),
  define(
    'backpressure',
    '',
    'Backpressure slows a sender down when its receiver cannot keep up.',
    'slows|sender|receiver',
  ),
  define(
    'preemption',
    '',
    'Preemption takes the place of a running sequence away, so that another one can go on.',
    'running sequence|away',
  ),
  define(
    'quantization',
    '',
    'Quantization stores weights with fewer bits, which saves memory and time and costs some accuracy.',
    'fewer bits|memory|accuracy',
  ),
  define(
    'speculative decoding',
    '',
    'Speculative decoding lets a small model guess several tokens that the large model checks in one step.',
    'small model|guess|checks',
  ),
  define(
    'temperature',
    '',
    'Temperature sets how random sampling is: zero always takes the most likely token.',
    'random|zero|most likely',
  ),
  define(
    'top-p',
    'top p|nucleus sampling',
    'Top-p sampling picks among the most likely tokens whose probabilities add up to p.',
    'most likely tokens|add up to p',
  ),
  define(
    'logprob',
    'log probability',
    'A logprob is the natural logarithm of the probability that the model gives to a token.',
    'natural logarithm|probability',
  ),
  define(
    'embedding',
    '',
    'An embedding is a vector of numbers that stands for the meaning of a text.',
    'vector|meaning',
  ),
  define(
    'streaming',
    '',
    'Streaming sends each token to the client as soon as it is generated.',
    'each token|as soon as',
  ),
  define(
    'tool call',
    'tool calling|function calling',
    'A tool call is an answer that names a function and its arguments for the client to run.',
    'function|arguments',
  ),
  define(
    'majority vote',
    'majority voting|self-consistency',
    'A majority vote samples several answers and returns the most frequent one.',
    'several answers|most frequent',
  ),
  define(
    'perplexity',
    '',
    'Perplexity measures how surprised a model is by a text: lower is better.',
    'surprised|lower is better',
  ),
  define(
    'roofline',
    'roofline model',
    'A roofline model bounds speed by memory bandwidth or by arithmetic, whichever is slower.',
    'memory bandwidth|arithmetic',
  ),
  define(
    'tensor parallelism',
    '',
    'Tensor parallelism splits each layer of a model over several GPUs.',
    'each layer|several gpus',
  ),
  define(
    'pipeline parallelism',
    '',
    'Pipeline parallelism gives each GPU some of the layers of a model.',
    'each gpu|layers',
  ),
  define(
    'joules per token',
    'energy per token',
    'Joules per token is the energy spent for each output token, measured or estimated.',
    'energy|output token',
  ),
  define(
    'GGUF',
    'gguf',
    'GGUF is a file format that holds the weights, the tokenizer and the settings of a model.',
    'file format|weights|tokenizer',
  ),
  define(
    'Tokenmill',
    'tokenmill',
    'Tokenmill is an open inference service: one OpenAI-compatible endpoint over an embedded engine and any fleet.',
    'inference|openai-compatible|fleet',
  ),
]

export const questions: readonly string[] = [
  'What is {x}?',
  'What is {x}',
  'Define {x}.',
  'Explain {x}.',
  'What does {x} mean?',
  'Explain {x} in one sentence.',
  'Tell me about {x}.',
  'What do you know about {x}?',
  'Can you explain {x}?',
  'Please define {x}.',
  'Give me a definition of {x}.',
  'In one sentence, what is {x}?',
  "What's {x}?",
  'Describe {x} briefly.',
  '{x}?',
  'What is meant by {x}?',
  'How would you define {x}?',
]
export const furtherQuestions: readonly string[] = [
  'And {x}?',
  'And what is {x}?',
  'What about {x}?',
  'Now explain {x}.',
]

/** A term, and one of its names as a question would use it: sometimes with an article, sometimes capitalised. */
export function someTerm(random: Random): { readonly definition: Definition; readonly name: string } {
  const definition = pick(random, definitions)
  const name = random() < 0.7 ? definition.term : pick(random, [definition.term, ...definition.aliases])
  const article = /^(?:An?|The) /.exec(definition.text)?.[0].toLowerCase() ?? ''
  const styled = random() < 0.1 ? name.toLowerCase() : name
  return { definition, name: random() < 0.5 ? article + styled : styled }
}

/** The problem is the term under this question: the facts are learned, the way of asking is what is held out. */
export function definition(random: Random): Sample {
  const { definition, name } = someTerm(random)
  const phrase = pick(random, questions)
  return {
    task: 'definitions',
    key: `define:${phrase}:${name}`,
    turns: [{ user: fill(phrase, { x: name }), answer: definition.text }],
    check: { kind: 'facts', facts: definition.facts },
  }
}
