import { defaultValues, TokenmillError } from '../core/index.ts'
import type { Engine } from '../inference/index.ts'
import { OpenAiEngine, upstreamOptions } from '../upstream/index.ts'
import type { Io } from './command.ts'

/** A server that is there answers at once; one that loads its model says so within this. */
const waitMs = 10_000

/** A running server as an engine, and the model that it is asked for. Throws `unavailable` where it does not answer. */
export async function connectEngine(
  url: string,
  model: string | undefined,
  apiKey: string | undefined,
  io: Io,
): Promise<{ readonly engine: Engine; readonly name: string }> {
  const engine = new OpenAiEngine({
    url: checked(url),
    engine: 'auto',
    model,
    apiKey,
    headers: {},
    priority: false,
    tls: undefined,
    limits: defaultValues(upstreamOptions),
  })
  const late = new AbortController()
  // Keeps the process alive too: the engine's own timers do not.
  const timer = setTimeout(() => late.abort(), waitMs)
  try {
    await engine.ready(AbortSignal.any([io.stop, late.signal]))
    const name = model ?? engine.models()[0]?.name
    if (name === undefined) throw new TokenmillError('unavailable', `${url} lists no model: choose one by --model.`)
    return { engine, name }
  } catch (error) {
    const { reason } = engine.status()
    await engine.close()
    if (!late.signal.aborted) throw error
    throw new TokenmillError(
      'unavailable',
      `${url} does not answer: ${reason ?? `nothing came within ${waitMs / 1000} s`}`,
      {},
      error,
    )
  } finally {
    clearTimeout(timer)
  }
}

function checked(url: string): string {
  if (URL.canParse(url) && /^https?:/.test(url)) return url
  throw new TokenmillError('invalid_request', `--url is '${url}'; write http://127.0.0.1:8080/v1.`)
}
