import { TokenmillError } from '../../core/index.ts'
import type { InputTensor, TensorType } from './tensors.ts'
import type { TritonModel } from './transport.ts'

/** Gathers the inputs of one request. A model may lack optional ones: versions of a backend differ. */
export class InputList {
  readonly tensors: InputTensor[] = []
  readonly #model: TritonModel

  constructor(model: TritonModel) {
    this.#model = model
  }

  /** Sets an input where the model has it. */
  offer(name: string, type: TensorType, ...values: readonly (string | number | boolean)[]): void {
    if (this.#model.inputs.has(name)) this.tensors.push({ name, type, values })
  }

  /** Sets an input that the request depends on. Throws `unsupported`, naming the client's field, where there is none. */
  require(param: string, name: string, type: TensorType, ...values: readonly (string | number | boolean)[]): void {
    if (!this.#model.inputs.has(name)) refuseAt(this.#model, param)
    this.tensors.push({ name, type, values })
  }
}

/** Refuses what a model cannot honour, rather than dropping it. */
export function refuseAt(model: TritonModel, param: string): never {
  const message = `The Triton model '${model.name}' does not support '${param}'. Leave it out, or use another engine.`
  throw new TokenmillError('unsupported', message, { param })
}
