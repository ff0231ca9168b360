import { Client, connectivityState, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js'
import { onAbort, throwIfAborted, TokenmillError, toTokenmillError, type Clock } from '../../core/index.ts'
import { endpointError, upstreamError } from '../../protocol/index.ts'
import type { EndpointSettings } from '../endpoint.ts'
import { SilenceWatch } from '../silence-watch.ts'
import {
  createTritonContract,
  type RepositoryEntry,
  type TritonContract,
  type TritonMessages,
  type TritonMethod,
} from './contract.ts'
import { readOutputs, toRaw } from './tensors.ts'
import type { InferCall, InferSink, TritonModel, TritonTransport } from './transport.ts'

/**
 * Triton's gRPC, on one channel. Each generation is a stream of its own: cancelling a stream cancels every request on
 * it. Nothing is tried again here, and no proxy of the environment is used.
 */
export class GrpcTransport implements TritonTransport {
  readonly name: string
  readonly #client: Client
  readonly #contract: TritonContract = createTritonContract()
  readonly #settings: EndpointSettings
  readonly #clock: Clock

  constructor(settings: EndpointSettings, clock: Clock) {
    this.#clock = clock
    const { host, protocol } = new URL(settings.url)
    this.#settings = settings
    this.name = `${protocol}//${host}`
    const { tls, limits } = settings
    const pem = (text: string | undefined) => (text === undefined ? null : Buffer.from(text))
    const secure = protocol === 'grpcs:'
    this.#client = new Client(
      host,
      secure
        ? credentials.createSsl(pem(tls?.ca), pem(tls?.key), pem(tls?.cert), {
            rejectUnauthorized: tls?.verify ?? true,
          })
        : credentials.createInsecure(),
      {
        'grpc.enable_retries': 0,
        'grpc.enable_http_proxy': 0,
        'grpc.service_config_disable_resolution': 1,
        'grpc.initial_reconnect_backoff_ms': 100,
        // A replica that came back shall be found by the next check.
        'grpc.max_reconnect_backoff_ms': limits.probeIntervalMs,
        'grpc.max_receive_message_length': limits.maxAnswerBytes,
        'grpc.max_send_message_length': -1,
        ...(secure && tls?.serverName !== undefined
          ? { 'grpc.ssl_target_name_override': tls.serverName, 'grpc.default_authority': tls.serverName }
          : {}),
      },
    )
  }

  async live(signal: AbortSignal): Promise<void> {
    const { live } = await this.#call('ServerLive', {}, signal)
    if (!live) throw endpointError('unavailable', this.name, 'says that it does not live.')
  }

  async isReady(model: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#call('ModelReady', { name: model }, signal)).ready
  }

  async index(signal: AbortSignal): Promise<readonly RepositoryEntry[]> {
    return (await this.#call('RepositoryIndex', { ready: false }, signal)).models
  }

  async describe(model: string, signal: AbortSignal): Promise<TritonModel> {
    const [metadata, { config }] = await Promise.all([
      this.#call('ModelMetadata', { name: model }, signal),
      this.#call('ModelConfig', { name: model }, signal),
    ])
    const parameters = Object.entries(config?.parameters ?? {})
    return {
      name: model,
      inputs: new Set(metadata.inputs.map(({ name }) => name)),
      outputs: new Set(metadata.outputs.map(({ name }) => name)),
      batched: (config?.maxBatchSize ?? 0) > 0,
      decoupled: config?.modelTransactionPolicy?.decoupled ?? false,
      parameters: new Map(parameters.map(([name, { stringValue }]) => [name, stringValue])),
    }
  }

  async load(model: string, signal: AbortSignal): Promise<void> {
    await this.#call('RepositoryModelLoad', { modelName: model }, signal)
  }

  async unload(model: string, signal: AbortSignal): Promise<void> {
    await this.#call('RepositoryModelUnload', { modelName: model }, signal)
  }

  async infer(call: InferCall, sink: InferSink, signal: AbortSignal): Promise<void> {
    await this.#connected(signal)
    const { path, encode, decode } = this.#contract.ModelStreamInfer
    const metadata = this.#metadata()
    // Errors close the stream with a status, instead of a text within it.
    metadata.set('triton_grpc_error', 'true')
    const deadline = call.deadlineMs === undefined ? {} : { deadline: this.#clock.wallTimeMs() + call.deadlineMs }
    const stream = this.#client.makeBidiStreamRequest(path, encode, decode, metadata, deadline)
    const { limits } = this.#settings
    await new Promise<void>((resolve, reject) => {
      let settled = false
      /** Triton said that nothing more comes. */
      let complete = false
      const settle = (error?: TokenmillError): void => {
        if (settled) return
        settled = true
        silence.stop()
        stopListening()
        if (error === undefined) resolve()
        else {
          stream.cancel()
          reject(error)
        }
      }
      const silence = new SilenceWatch(
        this.#clock,
        () => limits.idleMs,
        (limitMs) => {
          settle(endpointError('upstream_timeout', this.name, `fell silent within its answer for ${limitMs} ms.`))
        },
      )
      const stopListening = onAbort(signal, settle)
      stream.on('data', ({ errorMessage, inferResponse }) => {
        if (settled) return
        silence.heard()
        try {
          if (errorMessage !== '')
            throw upstreamError(this.name, { status: 500, body: JSON.stringify({ error: errorMessage }) })
          if (inferResponse === undefined || inferResponse === null) return
          if (inferResponse.parameters['triton_final_response']?.boolParam === true) complete = true
          // The last response may be empty.
          if (inferResponse.outputs.length > 0) sink.outputs(readOutputs(this.name, inferResponse))
        } catch (error) {
          settle(toTokenmillError(error))
        }
      })
      // Without a listener an error would end the process; `status` tells the same.
      stream.on('error', (error: Error) => settle(this.#error(error)))
      stream.on('status', ({ code, details }) => {
        if (code !== status.OK) settle(this.#statusError(code, details))
        else if (complete) settle()
        else {
          settle(endpointError('upstream_failed', this.name, 'ended its stream before the final response.'))
        }
      })
      sink.begin({ pause: () => stream.pause(), resume: () => stream.resume() })
      stream.write({
        modelName: call.model.name,
        id: call.id,
        parameters: { triton_enable_empty_final_response: { boolParam: true } },
        inputs: call.inputs.map(({ name, type, values }) => ({
          name,
          datatype: type,
          shape: call.model.batched ? [1, values.length] : [values.length],
        })),
        rawInputContents: call.inputs.map(toRaw),
      })
      stream.end()
    })
  }

  close(): Promise<void> {
    this.#client.close()
    return Promise.resolve()
  }

  async #call<Method extends TritonMethod>(
    method: Method,
    message: TritonMessages[Method][0],
    signal: AbortSignal,
  ): Promise<TritonMessages[Method][1]> {
    await this.#connected(signal)
    const codec = this.#contract[method]
    return await new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest<TritonMessages[Method][0], TritonMessages[Method][1]>(
        codec.path,
        (value) => codec.encode(value),
        (bytes) => codec.decode(bytes),
        message,
        this.#metadata(),
        {},
        (error, value) => {
          stopListening()
          if (error !== null) reject(this.#error(error))
          else if (value === undefined) reject(endpointError('upstream_failed', this.name, 'answered nothing.'))
          else resolve(value)
        },
      )
      const stopListening = onAbort(signal, (error) => {
        call.cancel()
        reject(error)
      })
    })
  }

  /** Resolves once the channel is open. Rejects with the abort's reason, or `upstream_timeout` after connectMs. */
  async #connected(signal: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    const state = this.#client.getChannel().getConnectivityState(true)
    // After a failure the call itself tells why, at once.
    if (state === connectivityState.READY || state === connectivityState.TRANSIENT_FAILURE) return
    const { connectMs } = this.#settings.limits
    await new Promise<void>((resolve, reject) => {
      const stopListening = onAbort(signal, reject)
      const done = (result: () => void): void => {
        stopListening()
        result()
      }
      const channel = this.#client.getChannel()
      const untilMs = this.#clock.wallTimeMs() + connectMs
      const watch = (known: connectivityState): void => {
        channel.watchConnectivityState(known, untilMs, (error) => {
          const now = channel.getConnectivityState(false)
          if (error !== undefined) {
            const problem = `did not accept a connection within ${connectMs} ms.`
            done(() => reject(endpointError('upstream_timeout', this.name, problem)))
          } else if (now === connectivityState.CONNECTING || now === connectivityState.IDLE) watch(now)
          else done(resolve)
        })
      }
      watch(state)
    })
  }

  #metadata(): Metadata {
    const metadata = new Metadata()
    const { apiKey, headers } = this.#settings
    if (apiKey !== undefined) metadata.set('authorization', `Bearer ${apiKey}`)
    for (const [name, value] of Object.entries(headers)) metadata.set(name.toLowerCase(), value)
    return metadata
  }

  #error(error: Error): TokenmillError {
    const { code, details } = error as Partial<ServiceError>
    return code === undefined ? toTokenmillError(error) : this.#statusError(code, details ?? error.message)
  }

  #statusError(code: status, details: string): TokenmillError {
    if (code === status.UNAVAILABLE && connectionWords.test(details)) {
      return endpointError('upstream_failed', this.name, `broke the connection: ${details}`)
    }
    if (code === status.DEADLINE_EXCEEDED) {
      return new TokenmillError('deadline_exceeded', 'The generation did not end within its deadline.')
    }
    return upstreamError(this.name, { status: httpStatuses[code] ?? 500, body: JSON.stringify({ error: details }) })
  }
}

/** How grpc-js begins what it says of connections; Triton's own words for UNAVAILABLE are about models and queues. */
const connectionWords =
  /^(No connection|Connection|Name resolution|read |write |Stream removed|The connection|Failed to connect)/i

const httpStatuses: Readonly<Partial<Record<status, number>>> = {
  [status.INVALID_ARGUMENT]: 400,
  [status.OUT_OF_RANGE]: 400,
  [status.UNAUTHENTICATED]: 401,
  [status.PERMISSION_DENIED]: 403,
  [status.NOT_FOUND]: 404,
  [status.UNIMPLEMENTED]: 501,
  [status.RESOURCE_EXHAUSTED]: 429,
  [status.UNAVAILABLE]: 503,
}
