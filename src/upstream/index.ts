export { splitUrl, type EndpointSettings, type EndpointTls, type EngineKind, type UpstreamLimits } from './endpoint.ts'
export { OpenAiEngine } from './openai-engine.ts'
export { upstreamOptions } from './options.ts'
