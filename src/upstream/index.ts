export type { EndpointSettings, EndpointTls, EngineKind, UpstreamLimits } from './endpoint.ts'
export { OpenAiEngine } from './openai-engine.ts'
export { upstreamOptions } from './options.ts'
