import type { EngineModel } from '../inference/index.ts'
import type { Dialect } from './dialect.ts'
import { dialects } from './dialects/index.ts'
import { upstreamError } from '../protocol/index.ts'
import type { EndpointHttp, HttpAnswer } from './http.ts'

/** `owned_by` in the list of models tells the engine where it was not configured away. */
const owners: Readonly<Record<string, Dialect['kind']>> = {
  vllm: 'vllm',
  sglang: 'sglang',
  llamacpp: 'llama-server',
  tensorrt_llm: 'trtllm',
  tokenmill: 'tokenmill',
}

/** Pages that one engine alone has, for lists of models that do not tell. */
const marks: readonly { readonly kind: Dialect['kind']; readonly path: string; readonly field: string }[] = [
  { kind: 'sglang', path: '/get_model_info', field: 'model_path' },
  { kind: 'llama-server', path: '/props', field: 'default_generation_settings' },
  { kind: 'vllm', path: '/version', field: 'version' },
]

/**
 * What the endpoint is: by the owner of its models, else by a page that only one engine has, else a provider with
 * OpenAI's API. Rejects where the endpoint does not answer.
 */
export async function detectDialect(http: EndpointHttp, signal: AbortSignal): Promise<Dialect> {
  const list = await http.fetch({ method: 'GET', path: '/v1/models' }, signal)
  throwRefusal(http, list)
  for (const entry of readList(list.body)) {
    const kind = owners[String(entry['owned_by'])]
    if (kind !== undefined) return dialects[kind]
  }
  for (const mark of marks) {
    const answer = await http.fetch({ method: 'GET', path: mark.path }, signal)
    if (answer.status === 200 && isRecord(parse(answer.body), mark.field)) return dialects[mark.kind]
  }
  return dialects.openai
}

/** The models that the endpoint lists; empty where it has no such list. Rejects where it does not answer. */
export async function listModels(http: EndpointHttp, signal: AbortSignal): Promise<EngineModel[]> {
  const answer = await http.fetch({ method: 'GET', path: '/v1/models' }, signal)
  throwRefusal(http, answer)
  if (answer.status !== 200) return []
  return readList(answer.body).flatMap((entry) => {
    const name = entry['id']
    if (typeof name !== 'string') return []
    const meta = entry['meta'] as { n_ctx_train?: unknown; n_ctx?: unknown } | undefined
    const context = entry['max_model_len'] ?? entry['context_length'] ?? meta?.n_ctx ?? meta?.n_ctx_train
    return [
      {
        name,
        parent: typeof entry['parent'] === 'string' ? entry['parent'] : undefined,
        contextTokens: typeof context === 'number' ? context : undefined,
        root: typeof entry['root'] === 'string' ? entry['root'] : name,
      },
    ]
  })
}

/** A key that is refused for the list is refused for everything, though health pages stay open. */
function throwRefusal(http: EndpointHttp, { status, body }: HttpAnswer): void {
  if (status === 401 || status === 403) throw upstreamError(http.name, { status, body: body.toString() })
}

function readList(body: Buffer): Record<string, unknown>[] {
  const list = parse(body)
  const data = isRecord(list, 'data') ? list['data'] : undefined
  return Array.isArray(data) ? data.filter((entry) => isRecord(entry, 'id')) : []
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

function isRecord(value: unknown, field: string): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, field)
}
