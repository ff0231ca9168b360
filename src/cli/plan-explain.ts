import { z } from 'zod'
import { plannerOptions } from '../planner/options.ts'
import { defineCommand } from './command.ts'
import { deploymentFromValues, modelLines } from './plan-deployment.ts'
import {
  engineOption,
  gpuOption,
  jsonOption,
  lengthOptions,
  modelOption,
  overrideOption,
  parallelOptions,
  precisionOption,
} from './plan-options.ts'
import { textTable } from './text-table.ts'

const options = {
  model: modelOption,
  gpu: { ...gpuOption, default: 'h100_sxm' },
  engine: { ...engineOption, default: 'vllm' },
  precision: precisionOption,
  ...lengthOptions,
  concurrency: { schema: z.coerce.number().gt(0), default: 1, value: '<n>', help: 'Requests in flight' },
  ...parallelOptions,
  prefixHit: plannerOptions.prefixHit,
  tokensPerStep: plannerOptions.tokensPerStep,
  streamRate: {
    schema: z.coerce.number().gt(0),
    default: 1000,
    value: '<tokens/s>',
    help: 'Speed of one stream to work out the memory bandwidth for',
  },
  override: overrideOption,
  json: jsonOption,
} as const

export const planExplain = defineCommand({
  name: 'explain',
  summary: 'Show where each millisecond of a step goes, so that it can be checked by hand',
  options,
  examples: [
    'tokenmill plan explain --model llama-3.1-70b --gpu h100 --precision fp16',
    'tokenmill plan explain --model deepseek-r1 --gpu b200 --engine trtllm --precision fp4 --tp 8 --concurrency 64',
  ],
  async run(values, _positionals, io) {
    const planner = await import('../planner/index.ts')
    const { deployment, model } = await deploymentFromValues(values)
    const prediction = planner.predict(deployment, {
      inputTokens: values.isl,
      outputTokens: values.osl,
      concurrency: values.concurrency,
      cachedTokens: Math.floor(values.prefixHit * values.isl),
      tokensPerStep: values.tokensPerStep,
    })
    const explanation = planner.explain(prediction)
    const { gpu } = deployment
    const stream = planner.oneStreamBandwidth(prediction.facts.weightBytes, values.streamRate, gpu.bandwidthTbS)
    const name = planner.describeDeployment(gpu, deployment.engine, deployment.precision.format, deployment)
    if (values.json) {
      const { ttftMs, tpotMs, extrapolated } = prediction
      const body = {
        configuration: name,
        ...explanation,
        ttftMs,
        tpotInterval: tpotMs,
        extrapolated,
        oneStream: stream,
      }
      io.stdout.write(`${JSON.stringify(body, undefined, 2)}\n`)
      return 0
    }
    const number = (value: number | undefined, digits: number) => value?.toFixed(digits) ?? ''
    io.stdout.write(
      `${[
        `${model.shape.name}: ${name}, ${values.concurrency} at once, ${values.isl} tokens in, ${values.osl} out`,
        ...modelLines(model),
        '',
        ...explanation.facts.map((fact) => `${fact.name}: ${fact.value}`),
        '',
        `One stream of ${values.streamRate} tokens/s reads every weight for each token: ${(prediction.facts.weightBytes / 1e9).toFixed(0)} GB × ${values.streamRate}/s = ${stream.tbS.toFixed(0)} TB/s; at ${gpu.bandwidthTbS} TB/s that is ${stream.gpus} ${gpu.name} at full bandwidth.`,
        '',
        'One decode step:',
        textTable(
          ['part', 'ms', 'at peak', 'factor', 'working'],
          explanation.parts.map((part) => [
            part.name,
            number(part.ms, 3),
            number(part.peakMs, 3),
            number(part.factor, 2),
            part.working,
          ]),
        ),
        '',
        `Step ${explanation.stepMs.toFixed(2)} ms + prefill of others ${explanation.interferenceMs.toFixed(2)} ms = TPOT ${explanation.tpotMs.toFixed(2)} ms (${prediction.tpotMs.low.toFixed(2)} to ${prediction.tpotMs.high.toFixed(2)} in 8 of 10 cases)`,
        `TTFT ${prediction.ttftMs.value.toFixed(0)} ms (${prediction.ttftMs.low.toFixed(0)} to ${prediction.ttftMs.high.toFixed(0)}): ${explanation.ttft.map((one) => `${one.name} ${one.ms.toFixed(0)}`).join(', ')}`,
        ...prediction.extrapolated.map((reason) => `Extrapolated: ${reason}.`),
        `Shape: ${model.source}${model.verified ? '' : ' (unverified)'}. GPU: ${gpu.source}${gpu.unverified === true ? ' (unverified)' : ''}.`,
      ].join('\n')}\n`,
    )
    return 0
  },
})
