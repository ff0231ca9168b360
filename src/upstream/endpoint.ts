import type { OptionValues } from '../core/index.ts'
import type { upstreamOptions } from './options.ts'

/** The kinds of remote engine. `auto` asks the endpoint what it is. */
export type EngineKind = 'auto' | 'openai' | 'vllm' | 'sglang' | 'trtllm' | 'llama-server' | 'tokenmill'

export type UpstreamLimits = OptionValues<typeof upstreamOptions>

/** Everything needed to speak to one endpoint, resolved: secrets are values here, never names. */
export interface EndpointSettings {
  /** `http://10.0.0.7:8000`, with a path prefix where there is one. A trailing `/v1` is understood and dropped. */
  readonly url: string
  readonly engine: EngineKind
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

/** Origin and path prefix of an endpoint, without a trailing slash or `/v1`. */
export function splitUrl(url: string): { readonly origin: string; readonly prefix: string } {
  const parsed = new URL(url)
  const prefix = parsed.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')
  return { origin: parsed.origin, prefix }
}
