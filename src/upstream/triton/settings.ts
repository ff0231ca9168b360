import type { EndpointSettings } from '../endpoint.ts'

/** Everything needed to speak to one Triton server. `grpc://` and `grpcs://` speak gRPC, `http(s)://` HTTP. */
export interface TritonSettings extends Omit<EndpointSettings, 'engine'> {
  /** Text of a Jinja template, or of a tokenizer_config.json; undefined: chats are refused. */
  readonly chatTemplate: string | undefined
  /** Address of the metrics page, by default on port 8002; undefined: load is what was sent from here. */
  readonly metricsUrl: string | undefined
  /** `load`: has Triton load the model where it is not; `own`: and unload it at the end. */
  readonly repository: 'none' | 'load' | 'own'
}
