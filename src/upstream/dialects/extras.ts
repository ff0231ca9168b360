import { TokenmillError } from '../../core/index.ts'
import type { GenerationRequest, RequestExtension } from '../../inference/index.ts'

/** Fields that vLLM, SGLang, trtllm-serve, llama-server and Tokenmill all take under these names. */
export function commonExtras(request: GenerationRequest): Record<string, unknown> {
  const { sampling, input } = request
  return {
    ...(sampling.topK === 0 ? {} : { top_k: sampling.topK }),
    ...(sampling.minP === 0 ? {} : { min_p: sampling.minP }),
    ...(request.ignoreEos ? { ignore_eos: true } : {}),
    ...(input.kind === 'chat' && Object.keys(input.chat.templateVariables).length > 0
      ? { chat_template_kwargs: input.chat.templateVariables }
      : {}),
  }
}

/** For engines that know none. */
export const noExtensions: ReadonlySet<RequestExtension> = new Set()

/** Refuses what this engine cannot honour, rather than dropping it. */
export function refuse(engine: string, param: string): never {
  throw new TokenmillError(
    'unsupported',
    `${engine} does not support '${param}'. Leave it out, or use another engine.`,
    {
      param,
    },
  )
}
