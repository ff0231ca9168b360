import { TokenmillError } from '../core/index.ts'
import { words } from '../workload/index.ts'
import { LoadClient } from './client/load-client.ts'
import { LoopWatch } from './client/loop-watch.ts'
import { requestBody } from './client/request-source.ts'
import type { RequestRecord } from './metrics/record.ts'
import type { Target } from './plan.ts'
import { whenReady, type Patience } from './readiness.ts'
import { loadTokenCounter, wordsOfTokenizer, type CalibratedWords } from './tokens.ts'

export interface Probe {
  readonly target: Target
  readonly words: CalibratedWords
  /** What the report should say about the endpoint. */
  readonly notes: readonly string[]
}

export interface ProbeOptions {
  readonly target: Target
  readonly tokenizerPath: string | undefined
  readonly timeoutMs: number
  readonly maxEventBytes: number
  readonly patience: Patience
}

/** Words of the two calibration prompts; far enough apart that a template's tokens do not matter. */
const shortWords = 40
const longWords = 240

/**
 * Asks the endpoint a few small things before the run: does it answer, which fields does it take, what do our
 * words cost in its tokens? Throws what is wrong, named, when it does not answer at all.
 */
export async function probeEndpoint(options: ProbeOptions): Promise<Probe> {
  const notes: string[] = []
  let { target } = options
  const { patience } = options
  const loading = (answer: RequestRecord) => loadingReason(answer, patience)
  let first = await whenReady(target.url, () => ask(options, target, shortWords), loading, patience)
  if (first.outcome === 'httpError' && first.status === 400 && target.ignoreEos) {
    const without = { ...target, ignoreEos: false }
    const second = await ask(options, without, shortWords)
    if (second.outcome === 'ok') {
      notes.push('The endpoint refuses ignore_eos: answers may be shorter than asked.')
      target = without
      first = second
    }
  }
  if (first.outcome !== 'ok' && first.outcome !== 'empty') throw probeError(target, first)
  if (target.stream && !first.streamed) notes.push('The endpoint does not stream: TTFT is the whole answer’s time.')
  const calibrated = await calibrate(options, target, first)
  if (calibrated.source === 'assumed')
    notes.push('The endpoint reports no usage and no tokenizer was given: lengths assume one token a word.')
  return { target, words: calibrated, notes }
}

/** Why an answer says that the server will come yet; undefined where it is there, or nothing says so. */
function loadingReason({ status, outcome, message }: RequestRecord, { unheard }: Patience): string | undefined {
  if (status === 503) return message.replace(/\.$/, '') || '503'
  return unheard && outcome === 'connectFailed' ? message : undefined
}

/** What our words cost: by the tokenizer given, else by /tokenize, else by the usage of two prompts. */
async function calibrate(options: ProbeOptions, target: Target, short: RequestRecord): Promise<CalibratedWords> {
  if (options.tokenizerPath !== undefined) return wordsOfTokenizer(await loadTokenCounter(options.tokenizerPath))
  const counted = await countByEndpoint(target, options.timeoutMs)
  if (counted !== undefined)
    return { words: { words, tokensPerWord: counted }, source: 'endpoint', overheadTokens: undefined }
  const long = await ask(options, target, longWords)
  if (short.promptTokens !== undefined && long.promptTokens !== undefined && long.promptTokens > short.promptTokens) {
    const tokensPerWord = (long.promptTokens - short.promptTokens) / (longWords - shortWords)
    const overheadTokens = Math.max(0, Math.round(short.promptTokens - tokensPerWord * shortWords))
    return { words: { words, tokensPerWord }, source: 'usage', overheadTokens }
  }
  return { words: { words, tokensPerWord: 1 }, source: 'assumed', overheadTokens: undefined }
}

/** Tokens a word by the server's own /tokenize (vLLM's and llama-server's shape); undefined where it has none. */
async function countByEndpoint(target: Target, timeoutMs: number): Promise<number | undefined> {
  const text = words.join(' ')
  const url = target.url.replace(/\/v1$/, '/tokenize')
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...target.headers },
      body: JSON.stringify({ model: target.model, prompt: text, content: text, add_special_tokens: false }),
      signal: AbortSignal.timeout(Math.min(timeoutMs, 10_000)),
    })
    if (!response.ok) return undefined
    const body = (await response.json()) as { count?: unknown; tokens?: unknown }
    const count = typeof body.count === 'number' ? body.count : Array.isArray(body.tokens) ? body.tokens.length : 0
    return count > words.length / 2 ? count / words.length : undefined
  } catch {
    return undefined
  }
}

/** One request of `count` words and one token, over the same client as the run's. */
async function ask(options: ProbeOptions, target: Target, count: number): Promise<RequestRecord> {
  const client = new LoadClient({
    target,
    timeoutMs: options.timeoutMs,
    maxEventBytes: options.maxEventBytes,
    keepText: false,
    nowMs: () => performance.now(),
    watch: new LoopWatch(),
  })
  // Different words for each probe: a prefix cache must not answer the second from the first.
  const content = words.slice(count, 2 * count).join(' ')
  const body = JSON.stringify(requestBody({ target }, [{ role: 'user', content }], 1))
  const planned = {
    id: `probe-${count}`,
    session: 0,
    turn: 0,
    classIndex: 0,
    promptTokens: count,
    outputTokens: 1,
    body,
  }
  const { record } = await client.send(planned, performance.now(), 0)
  client.close()
  return record
}

function probeError(target: Target, record: RequestRecord): TokenmillError {
  const where = `${target.url} (model '${target.model}')`
  const advice: Partial<Record<RequestRecord['outcome'], string>> = {
    connectFailed: 'Is the server running, and is the address right? --ready-timeout waits for it to listen.',
    timedOut: 'It took the request and gave no answer in time; raise --timeout if it is that slow.',
    notJson: 'Something else answers at this address: does the base URL end in /v1?',
    refused:
      record.status === 503
        ? 'It did not become ready in time; raise --ready-timeout if it loads that long.'
        : 'The server refuses requests before the run has begun.',
  }
  const status404 = record.status === 404 ? 'Is the model name right, and does the base URL end in /v1?' : ''
  const hint = advice[record.outcome] ?? status404
  return new TokenmillError(
    'upstream_failed',
    `${where} cannot be measured: ${record.outcome}: ${record.message.replace(/\.$/, '')}. ${hint}`.trimEnd(),
    record.status === 0 ? {} : { upstreamStatus: record.status },
  )
}

/** The one model that the endpoint serves. Throws `invalid_request` with the names where there are several. */
export async function findModel(
  url: string,
  headers: Readonly<Record<string, string>>,
  patience: Patience,
): Promise<string> {
  let ids: string[] = []
  try {
    const list = () =>
      fetch(`${url}/models`, { headers, signal: AbortSignal.timeout(10_000) }).catch((error: unknown) => {
        if (patience.unheard) return causeOf(error)
        throw error
      })
    const loading = (answer: Response | string) => {
      if (typeof answer === 'string') return answer
      return answer.status === 503 ? `503: ${answer.statusText}` : undefined
    }
    const response = await whenReady(url, list, loading, patience)
    if (typeof response === 'string') throw new Error(response)
    const body = (await response.json()) as { data?: readonly { id?: unknown }[] }
    ids = (body.data ?? []).map((model) => model.id).filter((id): id is string => typeof id === 'string')
  } catch (error) {
    throw new TokenmillError(
      'upstream_failed',
      `${url}/models gives no list of models: ${causeOf(error)}. Name one by --model, or wait for the server by --ready-timeout.`,
    )
  }
  const [only] = ids
  if (ids.length === 1 && only !== undefined) return only
  const known = ids.length === 0 ? 'none' : ids.slice(0, 20).join(', ')
  throw new TokenmillError('invalid_request', `${url} serves ${known}: choose one by --model.`, { available: ids })
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
