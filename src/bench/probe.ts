import { TokenmillError } from '../core/index.ts'
import { words } from '../workload/index.ts'
import { withoutRefusedFields } from './accepted-fields.ts'
import { LoadClient } from './client/load-client.ts'
import { LoopWatch } from './client/loop-watch.ts'
import { requestBody } from './client/request-source.ts'
import { besideApiUrl, suggestedBaseUrl } from './endpoint-url.ts'
import { fetchText } from './fetch-text.ts'
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
  /** The user did not name the field that limits an answer. */
  readonly maxTokensFieldIsOurs: boolean
  readonly patience: Patience
}

/** Words of the two calibration prompts; far enough apart that a template's tokens do not matter. */
const shortWords = 40
const longWords = 240
const longestCountMs = 10_000

/**
 * Asks the endpoint a few small things before the run: does it answer, which fields does it take, what do our
 * words cost in its tokens? Throws what is wrong, named, when it does not answer at all.
 */
export async function probeEndpoint(options: ProbeOptions): Promise<Probe> {
  const { patience } = options
  const loading = (answer: RequestRecord) => loadingReason(answer, patience)
  const { url } = options.target
  const first = await whenReady(url, () => ask(options, options.target, shortWords), loading, patience)
  const {
    target,
    answer,
    notes: refused,
  } = await withoutRefusedFields(first, options.target, options.maxTokensFieldIsOurs, (without) =>
    ask(options, without, shortWords),
  )
  const notes = [...refused]
  if (answer.outcome !== 'ok' && answer.outcome !== 'empty') throw probeError(target, answer)
  if (target.stream && !answer.streamed) notes.push('The endpoint does not stream: TTFT is the whole answer’s time.')
  const calibrated = await calibrate(options, target, answer)
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
  const counted = await countByEndpoint(target, options)
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
async function countByEndpoint(target: Target, { timeoutMs, patience }: ProbeOptions): Promise<number | undefined> {
  const url = besideApiUrl(target.url, 'tokenize')
  if (url === undefined) return undefined
  const text = words.join(' ')
  try {
    const answer = await fetchText(url, {
      headers: target.headers,
      body: JSON.stringify({ model: target.model, prompt: text, content: text, add_special_tokens: false }),
      limitMs: Math.min(timeoutMs, longestCountMs),
      clock: patience.clock,
      stop: patience.stop,
    })
    if (answer.status !== 200) return undefined
    const body = JSON.parse(answer.text) as { count?: unknown; tokens?: unknown }
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
    nowMs: () => options.patience.clock.now(),
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
  const { record } = await client.send(planned, options.patience.clock.now(), 0)
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
  const hint = advice[record.outcome] ?? (record.status === 404 ? missingAdvice(target.url) : '')
  return new TokenmillError(
    'upstream_failed',
    `${where} cannot be measured: ${record.outcome}: ${record.message.replace(/\.$/, '')}. ${hint}`.trimEnd(),
    record.status === 0 ? {} : { upstreamStatus: record.status },
  )
}

function missingAdvice(url: string): string {
  const suggested = suggestedBaseUrl(url)
  return `Is the model name right${suggested === undefined ? ', and the path of the base URL' : ''}?${suggested === undefined ? '' : ` Or try ${suggested}.`}`
}
