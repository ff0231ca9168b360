import type { Section } from '../../../report/index.ts'

export const definitions: Section = {
  kind: 'prose',
  title: 'Definitions',
  paragraphs: [
    't₀ is the scheduled send, s the actual send, c₁ … c_m the arrivals of chunks with content, n the output tokens that the server reports.',
    'TTFT = c₁ − t₀. TPOT = (c_m − c₁)/(n − 1). Gap between chunks = c_{i+1} − c_i, all pooled; ITL per token = that gap divided by the tokens of the later chunk. Longest stall = the largest gap of an answer. End to end = c_m − t₀. Interactivity = 1000/TPOT.',
    'Throughput = output tokens that arrived within the window over its length. Attainment = requests that met all their objectives over all offered, failures included. Goodput = those requests over the window. docs/bench.md compares these with vLLM, AIPerf, GuideLLM, inference-perf and others.',
  ],
}
