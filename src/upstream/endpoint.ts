import type { OptionValues } from '../core/index.ts'
import type { ProviderName, upstreamOptions } from './options.ts'

/** The kinds of remote engine. `auto` asks the endpoint what it is. */
export type EngineKind = 'auto' | 'openai' | 'vllm' | 'sglang' | 'trtllm' | 'llama-server' | 'tokenmill'

export type UpstreamLimits = OptionValues<typeof upstreamOptions>

/** Everything needed to speak to one endpoint, resolved: secrets are values here, never names. */
export interface EndpointSettings {
  /** As the provider's documentation gives it: see base-url.ts. */
  readonly url: string
  readonly engine: EngineKind
  /** A provider whose form differs from OpenAI's; undefined for engines, and for providers like OpenAI. */
  readonly provider?: ProviderName | undefined
  /** The model's name at the endpoint; undefined: the first one that it lists. */
  readonly model: string | undefined
  readonly apiKey: string | undefined
  /** Sent with every request, after our own. */
  readonly headers: Readonly<Record<string, string>>
  /** The engine runs with priority scheduling: a request's priority is passed on. Else it is left out, since vLLM refuses it. */
  readonly priority: boolean
  readonly tls: EndpointTls | undefined
  readonly limits: UpstreamLimits
}

/** PEM texts, not paths. */
export interface EndpointTls {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly serverName: string | undefined
  /** False: any certificate is accepted. For tests on one's own machine. */
  readonly verify: boolean
}
