import type { RepositoryEntry } from './contract.ts'
import type { InferCall, InferSink, TritonModel, TritonTransport } from './transport.ts'

/**
 * A transport whose library is loaded with its first call: gRPC takes 4 MB and a tenth of a second, which servers
 * without Triton need not spend.
 */
export class DeferredTransport implements TritonTransport {
  readonly name: string
  readonly #load: () => Promise<TritonTransport>
  #loaded: Promise<TritonTransport> | undefined

  constructor(name: string, load: () => Promise<TritonTransport>) {
    this.name = name
    this.#load = load
  }

  async live(signal: AbortSignal): Promise<void> {
    await (await this.#real()).live(signal)
  }

  async isReady(model: string, signal: AbortSignal): Promise<boolean> {
    return await (await this.#real()).isReady(model, signal)
  }

  async index(signal: AbortSignal): Promise<readonly RepositoryEntry[]> {
    return await (await this.#real()).index(signal)
  }

  async describe(model: string, signal: AbortSignal): Promise<TritonModel> {
    return await (await this.#real()).describe(model, signal)
  }

  async load(model: string, signal: AbortSignal): Promise<void> {
    await (await this.#real()).load(model, signal)
  }

  async unload(model: string, signal: AbortSignal): Promise<void> {
    await (await this.#real()).unload(model, signal)
  }

  async infer(call: InferCall, sink: InferSink, signal: AbortSignal): Promise<void> {
    await (await this.#real()).infer(call, sink, signal)
  }

  async close(): Promise<void> {
    await (await this.#loaded)?.close()
  }

  #real(): Promise<TritonTransport> {
    this.#loaded ??= this.#load()
    return this.#loaded
  }
}
