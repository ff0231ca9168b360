import protobuf from 'protobufjs'

/**
 * What is used of the inference protocol of KServe v2 as Triton serves it (package `inference`, service
 * `GRPCInferenceService`): names and numbers as published, fields that nobody here reads left out.
 */
const contractText = `
syntax = "proto3";
package inference;

message ServerLiveRequest {}
message ServerLiveResponse { bool live = 1; }

message ModelReadyRequest { string name = 1; string version = 2; }
message ModelReadyResponse { bool ready = 1; }

message ModelMetadataRequest { string name = 1; string version = 2; }
message ModelMetadataResponse {
  message TensorMetadata { string name = 1; string datatype = 2; repeated int64 shape = 3; }
  string name = 1;
  repeated string versions = 2;
  string platform = 3;
  repeated TensorMetadata inputs = 4;
  repeated TensorMetadata outputs = 5;
}

message ModelConfigRequest { string name = 1; string version = 2; }
message ModelTransactionPolicy { bool decoupled = 1; }
message ModelParameter { string string_value = 1; }
message ModelConfig {
  string name = 1;
  string platform = 2;
  int32 max_batch_size = 4;
  map<string, ModelParameter> parameters = 14;
  string backend = 17;
  ModelTransactionPolicy model_transaction_policy = 19;
}
message ModelConfigResponse { ModelConfig config = 1; }

message InferParameter {
  oneof parameter_choice {
    bool bool_param = 1;
    int64 int64_param = 2;
    string string_param = 3;
    double double_param = 4;
    uint64 uint64_param = 5;
  }
}
message InferTensorContents {
  repeated bool bool_contents = 1;
  repeated int32 int_contents = 2;
  repeated int64 int64_contents = 3;
  repeated uint32 uint_contents = 4;
  repeated uint64 uint64_contents = 5;
  repeated float fp32_contents = 6;
  repeated double fp64_contents = 7;
  repeated bytes bytes_contents = 8;
}
message InferTensor {
  string name = 1;
  string datatype = 2;
  repeated int64 shape = 3;
  map<string, InferParameter> parameters = 4;
  InferTensorContents contents = 5;
}
message ModelInferRequest {
  message InferRequestedOutputTensor { string name = 1; map<string, InferParameter> parameters = 2; }
  string model_name = 1;
  string model_version = 2;
  string id = 3;
  map<string, InferParameter> parameters = 4;
  repeated InferTensor inputs = 5;
  repeated InferRequestedOutputTensor outputs = 6;
  repeated bytes raw_input_contents = 7;
}
message ModelInferResponse {
  string model_name = 1;
  string model_version = 2;
  string id = 3;
  map<string, InferParameter> parameters = 4;
  repeated InferTensor outputs = 5;
  repeated bytes raw_output_contents = 6;
}
message ModelStreamInferResponse { string error_message = 1; ModelInferResponse infer_response = 2; }

message RepositoryIndexRequest { string repository_name = 1; bool ready = 2; }
message RepositoryIndexResponse {
  message ModelIndex { string name = 1; string version = 2; string state = 3; string reason = 4; }
  repeated ModelIndex models = 1;
}
message RepositoryModelLoadRequest { string repository_name = 1; string model_name = 2; }
message RepositoryModelLoadResponse {}
message RepositoryModelUnloadRequest { string repository_name = 1; string model_name = 2; }
message RepositoryModelUnloadResponse {}
`

/** The methods that are called, each with the names of its two messages. */
const methods = {
  ServerLive: ['ServerLiveRequest', 'ServerLiveResponse'],
  ModelReady: ['ModelReadyRequest', 'ModelReadyResponse'],
  ModelMetadata: ['ModelMetadataRequest', 'ModelMetadataResponse'],
  ModelConfig: ['ModelConfigRequest', 'ModelConfigResponse'],
  ModelStreamInfer: ['ModelInferRequest', 'ModelStreamInferResponse'],
  RepositoryIndex: ['RepositoryIndexRequest', 'RepositoryIndexResponse'],
  RepositoryModelLoad: ['RepositoryModelLoadRequest', 'RepositoryModelLoadResponse'],
  RepositoryModelUnload: ['RepositoryModelUnloadRequest', 'RepositoryModelUnloadResponse'],
} as const

/** What each method takes and gives, as far as it is read. Absent fields have their default. */
export interface TritonMessages {
  readonly ServerLive: [object, { readonly live: boolean }]
  readonly ModelReady: [{ readonly name: string }, { readonly ready: boolean }]
  readonly ModelMetadata: [{ readonly name: string }, MetadataMessage]
  readonly ModelConfig: [{ readonly name: string }, { readonly config?: ConfigMessage | null }]
  readonly ModelStreamInfer: [InferRequestMessage, StreamResponseMessage]
  readonly RepositoryIndex: [{ readonly ready: boolean }, { readonly models: readonly RepositoryEntry[] }]
  readonly RepositoryModelLoad: [{ readonly modelName: string }, object]
  readonly RepositoryModelUnload: [{ readonly modelName: string }, object]
}

export type TritonMethod = keyof TritonMessages

export interface RepositoryEntry {
  readonly name: string
  /** Empty for a model that is not loaded. */
  readonly version: string
  /** `READY`, `UNAVAILABLE`, `LOADING`, `UNLOADING`; empty for a model that was never loaded. */
  readonly state: string
  readonly reason: string
}

interface MetadataMessage {
  readonly inputs: readonly { readonly name: string; readonly datatype: string }[]
  readonly outputs: readonly { readonly name: string; readonly datatype: string }[]
}

interface ConfigMessage {
  readonly maxBatchSize: number
  readonly parameters: Readonly<Record<string, { readonly stringValue: string }>>
  readonly modelTransactionPolicy?: { readonly decoupled: boolean } | null
}

interface ParameterMessage {
  readonly boolParam?: boolean
  readonly int64Param?: number
}

interface InferRequestMessage {
  readonly modelName: string
  readonly id: string
  readonly parameters: Readonly<Record<string, ParameterMessage>>
  readonly inputs: readonly { readonly name: string; readonly datatype: string; readonly shape: readonly number[] }[]
  readonly rawInputContents: readonly Uint8Array[]
}

interface StreamResponseMessage {
  readonly errorMessage: string
  readonly inferResponse?: InferResponseMessage | null
}

export interface InferResponseMessage {
  readonly parameters: Readonly<Record<string, ParameterMessage>>
  readonly outputs: readonly OutputMessage[]
  readonly rawOutputContents: readonly Uint8Array[]
}

interface OutputMessage {
  readonly name: string
  readonly datatype: string
  readonly contents?: Readonly<Record<string, readonly (number | boolean | Uint8Array)[]>> | null
}

/** One method on the wire. */
export interface MethodCodec<In, Out> {
  readonly path: string
  readonly encode: (message: In) => Buffer
  /** Throws what is no such message. */
  readonly decode: (bytes: Buffer) => Out
}

export type TritonContract = {
  readonly [Method in TritonMethod]: MethodCodec<TritonMessages[Method][0], TritonMessages[Method][1]>
}

/** Reads the contract's text; some milliseconds, so once for a process that needs it. */
export function createTritonContract(): TritonContract {
  const { root } = protobuf.parse(contractText)
  const codecs = Object.entries(methods).map(([method, [request, response]]) => {
    const input = root.lookupType(`inference.${request}`)
    const output = root.lookupType(`inference.${response}`)
    const codec: MethodCodec<object, object> = {
      path: `/inference.GRPCInferenceService/${method}`,
      encode: (message) => Buffer.from(input.encode(message).finish()),
      decode: (bytes) => output.decode(bytes),
    }
    return [method, codec] as const
  })
  return Object.fromEntries(codecs) as unknown as TritonContract
}
