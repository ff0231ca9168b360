import { toTokenmillError, type Clock, type TokenmillError } from '../../core/index.ts'
import type { RelaySink } from '../../inference/index.ts'
import { endpointError, readEventFailure, SseReader, streamError, upstreamError } from '../../protocol/index.ts'
import { startDeadline } from '../deadline.ts'
import { EndpointHttp } from '../http.ts'
import type { EndpointSettings } from '../endpoint.ts'
import type { RepositoryEntry } from './contract.ts'
import type { InputTensor, OutputTensors } from './tensors.ts'
import type { InferCall, InferSink, TritonModel, TritonTransport } from './transport.ts'

/**
 * Triton's HTTP with its generate extension: inputs and outputs are top-level fields of JSON, a decoupled model
 * streams server-sent events. The stream has no mark of its end but that of HTTP's own framing.
 */
export class HttpTransport implements TritonTransport {
  readonly name: string
  readonly #http: EndpointHttp
  readonly #settings: EndpointSettings
  readonly #clock: Clock

  constructor(settings: EndpointSettings, clock: Clock) {
    this.#clock = clock
    this.#http = new EndpointHttp(settings, clock)
    this.#settings = settings
    this.name = this.#http.name
  }

  async live(signal: AbortSignal): Promise<void> {
    const { status } = await this.#http.fetch({ method: 'GET', path: '/v2/health/live' }, signal)
    if (status === 200) return
    throw endpointError('unavailable', this.name, `says that it does not live (status ${status}).`)
  }

  async isReady(model: string, signal: AbortSignal): Promise<boolean> {
    const path = `/v2/models/${encodeURIComponent(model)}/ready`
    return (await this.#http.fetch({ method: 'GET', path }, signal)).status === 200
  }

  async index(signal: AbortSignal): Promise<readonly RepositoryEntry[]> {
    const list = await this.#json('POST', '/v2/repository/index', signal)
    const entries = Array.isArray(list) ? (list as Partial<RepositoryEntry>[]) : []
    return entries.map(({ name = '', version = '', state = '', reason = '' }) => ({ name, version, state, reason }))
  }

  async describe(model: string, signal: AbortSignal): Promise<TritonModel> {
    const path = `/v2/models/${encodeURIComponent(model)}`
    const [metadata, config] = (await Promise.all([
      this.#json('GET', path, signal),
      this.#json('GET', `${path}/config`, signal),
    ])) as [MetadataJson, ConfigJson]
    return {
      name: model,
      inputs: new Set((metadata.inputs ?? []).map(({ name }) => name)),
      outputs: new Set((metadata.outputs ?? []).map(({ name }) => name)),
      batched: (config.max_batch_size ?? 0) > 0,
      decoupled: config.model_transaction_policy?.decoupled ?? false,
      parameters: new Map(
        Object.entries(config.parameters ?? {}).map(([name, value]) => [name, value.string_value ?? '']),
      ),
    }
  }

  async load(model: string, signal: AbortSignal): Promise<void> {
    await this.#json('POST', `/v2/repository/models/${encodeURIComponent(model)}/load`, signal)
  }

  async unload(model: string, signal: AbortSignal): Promise<void> {
    await this.#json('POST', `/v2/repository/models/${encodeURIComponent(model)}/unload`, signal)
  }

  async infer(call: InferCall, sink: InferSink, signal: AbortSignal): Promise<void> {
    const { decoupled, name } = call.model
    const reader = new SseReader({ maxEventBytes: this.#settings.limits.maxSseFrameBytes })
    const pieces: Uint8Array[] = []
    let bytes = 0
    const relay: RelaySink = {
      begin: (_head, flow) => sink.begin(flow),
      data: (chunk) => {
        if (decoupled) reader.push(chunk, ({ data }) => sink.outputs(this.#read(data)))
        else {
          pieces.push(chunk)
          bytes += chunk.length
          const { maxAnswerBytes } = this.#settings.limits
          if (bytes > maxAnswerBytes) {
            throw endpointError(
              'upstream_failed',
              this.name,
              `sent an answer past the limit of ${maxAnswerBytes} bytes.`,
            )
          }
        }
      },
    }
    const path = `/v2/models/${encodeURIComponent(name)}/${decoupled ? 'generate_stream' : 'generate'}`
    const body = JSON.stringify({ id: call.id, ...Object.fromEntries(call.inputs.map(toField)) })
    const { controller, stop } = startDeadline(signal, call.deadlineMs, this.#clock)
    try {
      await this.#http.stream({ method: 'POST', path, body }, relay, controller.signal)
    } catch (error) {
      throw blameRightly(this.name, toTokenmillError(error))
    } finally {
      stop()
    }
    if (reader.unfinished) {
      throw endpointError('upstream_failed', this.name, 'ended its stream within an event.')
    }
    if (!decoupled) sink.outputs(this.#read(Buffer.concat(pieces).toString()))
  }

  async close(): Promise<void> {
    await this.#http.close()
  }

  /** The fields of one response, each as a vector. Throws the error that the response may be. */
  #read(text: string): OutputTensors {
    const fields: unknown = parse(text)
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
      throw endpointError('upstream_failed', this.name, `sent a malformed event: ${text.slice(0, 120)}`)
    }
    const failure = 'error' in fields ? readEventFailure(fields) : undefined
    if (failure !== undefined) throw streamError(this.name, failure)
    return new Map(
      Object.entries(fields).map(([name, value]) => [
        name,
        (Array.isArray(value) ? value.flat(4) : [value]) as (string | number | boolean)[],
      ]),
    )
  }

  async #json(method: 'GET' | 'POST', path: string, signal: AbortSignal): Promise<unknown> {
    const call = { method, path, ...(method === 'POST' ? { body: '{}' } : {}) }
    const { status, body } = await this.#http.fetch(call, signal)
    const text = body.toString()
    if (status !== 200) throw upstreamError(this.name, { status, body: text })
    // Load and unload answer with nothing.
    if (text === '') return {}
    const value = parse(text)
    if (value === undefined) throw endpointError('upstream_failed', this.name, `answered ${path} without JSON.`)
    return value
  }
}

/** A vector of one is a scalar, except where the model may expect several. */
function toField({ name, type, values }: InputTensor): [string, unknown] {
  const scalar = values.length === 1 && !(type === 'BYTES' && name.includes('stop'))
  return [name, scalar ? values[0] : values]
}

/** Triton's HTTP says 400 for whatever a model says before its first response: its own failures too. */
function blameRightly(endpoint: string, error: TokenmillError): TokenmillError {
  if (error.code !== 'invalid_request' || error.details.upstreamStatus !== 400) return error
  return upstreamError(endpoint, { status: 500, body: JSON.stringify({ error: error.message }) })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

interface MetadataJson {
  readonly inputs?: readonly { readonly name: string }[]
  readonly outputs?: readonly { readonly name: string }[]
}

interface ConfigJson {
  readonly max_batch_size?: number
  readonly model_transaction_policy?: { readonly decoupled?: boolean }
  readonly parameters?: Readonly<Record<string, { readonly string_value?: string }>>
}
