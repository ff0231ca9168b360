import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../src/core/index.ts'
import { resolveModel } from '../../src/model/index.ts'
import {
  deploy,
  plannedStepModel,
  predict,
  resolveEngine,
  resolveFormat,
  resolveHardware,
} from '../../src/planner/index.ts'
import { SimulatedEngine } from '../../src/simulation/index.ts'
import { meanOf } from '../../src/workload/index.ts'
import { createRequest } from '../support/generation-request.ts'

/** A closed loop of `users` on a simulated replica whose steps take what the planner says: mean TPOT, and joules per token. */
async function closedLoop(model: string, gpu: string, users: number, inputTokens: number, outputTokens: number) {
  const parallelism = { tp: 4, pp: 1, ep: 1, dp: 1 }
  const deployment = deploy(
    resolveModel(model).shape,
    resolveHardware(gpu),
    resolveEngine('vllm'),
    resolveFormat('fp8'),
    parallelism,
  )
  const predicted = predict(deployment, { inputTokens, outputTokens, concurrency: users })
  const clock = new VirtualClock()
  const kv = { blockTokens: 16, blocks: 100_000, cachedBlocks: 0 }
  const steps = { model: plannedStepModel(predicted.facts), prefillTokensPerStep: 8192, maxRunning: users, kv }
  const engine = new SimulatedEngine(
    { name: 'planned', models: ['m'], contextTokens: 100_000, timing: { kind: 'steps', ...steps } },
    clock,
  )
  const tpotMs: number[] = []
  let tokens = 0
  let ended = false
  const user = async (number: number): Promise<void> => {
    for (let turn = 0; !ended; turn += 1) {
      const id = `${number}-${turn}`
      const input = { kind: 'tokens' as const, tokens: Array.from({ length: inputTokens }, (_, index) => index) }
      // The first turn is shorter for some than for others, so that users do not run in step.
      const maxTokens = turn === 0 ? Math.ceil((outputTokens * (number + 1)) / users) : outputTokens
      let firstMs = 0
      for await (const event of engine.generate(
        createRequest({ id, model: 'm', input, maxTokens }),
        new AbortController().signal,
      )) {
        if (event.type === 'prefilled') firstMs = clock.now()
        if (event.type === 'text') tokens += event.tokens
      }
      if (turn > 0) tpotMs.push((clock.now() - firstMs) / (outputTokens - 1))
    }
  }
  const loops = Array.from({ length: users }, (_, number) => user(number))
  await clock.advance(120_000)
  ended = true
  await clock.advance(120_000)
  await Promise.all(loops)
  return { tpotMs: meanOf(tpotMs), joulesPerToken: (engine.joules ?? Number.NaN) / tokens, predicted }
}

describe('a simulated replica on the planner’s step model', () => {
  it('takes the times and joules in a closed loop that the planner predicts for it', async () => {
    for (const users of [1, 8, 32]) {
      const { tpotMs, joulesPerToken, predicted } = await closedLoop('llama-3.1-70b', 'h100', users, 1000, 200)
      expect(Math.abs(tpotMs / predicted.tpotMs.value - 1)).toBeLessThan(0.02)
      expect(Math.abs(joulesPerToken / (predicted.joulesPerOutputToken?.value ?? Number.NaN) - 1)).toBeLessThan(0.05)
    }
  })
})
