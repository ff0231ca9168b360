/**
 * `npm run bench:stalls`: what one hostile request does to everybody else. The server serves its own model; while each
 * attack runs, a probe asks for health every five milliseconds and a stream is read. Prints the longest wait of both, in
 * milliseconds, beside their longest wait before the attack: the machine's own noise. On Linux also the CPU that the
 * attack took of the thread that serves clients, which no neighbour on the cores changes.
 *
 *   --only <attack>   one or more of them
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { startProgram } from '../gateway/harness.ts'

const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true }, help: { type: 'boolean', default: false } },
})

/** Longest that health may wait. */
const askedMs = 50

interface Attack {
  readonly name: string
  readonly path: string
  readonly body: string
}

const chat = (fields: object): string =>
  JSON.stringify({ model: 'nano', max_tokens: 4, messages: [{ role: 'user', content: 'x' }], ...fields })
const schema = (value: object): string =>
  chat({ response_format: { type: 'json_schema', json_schema: { name: 'a', schema: value } } })
const numbered = (count: number, name: string, value: (at: number) => object): object =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`${name}${at}`, value(at)]))
const tools = (count: number, properties: number): object => ({
  tool_choice: 'required',
  tools: Array.from({ length: count }, (_, at) => ({
    type: 'function',
    function: {
      name: `f${at}`,
      parameters: {
        type: 'object',
        properties: numbered(properties, 'p', () => ({ type: 'string', maxLength: 100 })),
      },
    },
  })),
})
const completions = '/v1/chat/completions'

const attacks: readonly Attack[] = [
  {
    name: 'nested pattern, 217 bytes',
    path: completions,
    body: schema({ type: 'string', pattern: '^(a{1,1000}){1,1000}$' }),
  },
  {
    name: 'long pattern',
    path: completions,
    body: schema({ type: 'string', pattern: '^[a-z]{1,40000}$' }),
  },
  {
    name: '2,000 properties',
    path: completions,
    body: schema({ type: 'object', properties: numbered(2000, 'p', () => ({ type: 'string' })) }),
  },
  { name: '512 tools', path: completions, body: chat(tools(512, 20)) },
  {
    name: '4,096 messages',
    path: completions,
    body: chat({ messages: Array.from({ length: 4096 }, () => ({ role: 'user', content: 'hello there' })) }),
  },
  { name: 'tokenize 15 MB', path: '/tokenize', body: JSON.stringify({ model: 'nano', prompt: 'a'.repeat(15e6) }) },
  { name: 'tokenize 500 kB', path: '/tokenize', body: JSON.stringify({ model: 'nano', prompt: 'a'.repeat(500e3) }) },
  {
    name: 'prompt of 15 MB',
    path: completions,
    body: chat({ messages: [{ role: 'user', content: 'a'.repeat(15e6) }] }),
  },
  { name: 'prompt of 1 MB', path: completions, body: chat({ messages: [{ role: 'user', content: 'a'.repeat(1e6) }] }) },
]

if (values.help) {
  console.log(
    `npm run bench:stalls -- [--only <attack>]…\nAttacks: ${attacks.map(({ name }) => `'${name}'`).join(', ')}`,
  )
  process.exit(0)
}

/** The longest wait since the last `take`. */
class Longest {
  #ms = 0

  see(ms: number): void {
    this.#ms = Math.max(this.#ms, ms)
  }

  take(): number {
    const ms = this.#ms
    this.#ms = 0
    return ms
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function probeHealth(url: string, longest: Longest, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const sinceMs = performance.now()
    await (await fetch(`${url}/v1/health/live`)).text()
    longest.see(performance.now() - sinceMs)
    await pause(5)
  }
}

async function readStreams(url: string, longest: Longest, signal: AbortSignal): Promise<void> {
  const body = chat({ stream: true, ignore_eos: true, max_tokens: 1500 })
  while (!signal.aborted) {
    try {
      const answer = await fetch(url + completions, { method: 'POST', body, signal })
      let lastMs: number | undefined
      for await (const _ of answer.body ?? []) {
        const nowMs = performance.now()
        if (lastMs !== undefined) longest.see(nowMs - lastMs)
        lastMs = nowMs
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}

/** CPU milliseconds of a process's first thread so far; NaN where the system does not tell. */
function threadMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  } catch {
    return NaN
  }
}

async function measure(url: string, pid: number, attack: Attack): Promise<readonly string[]> {
  const ended = new AbortController()
  const [health, stream] = [new Longest(), new Longest()]
  const watching = [probeHealth(url, health, ended.signal), readStreams(url, stream, ended.signal)]
  await pause(300)
  const calmBegan = { atMs: performance.now(), threadMs: threadMs(pid) }
  await pause(1000)
  const calmShare = (threadMs(pid) - calmBegan.threadMs) / (performance.now() - calmBegan.atMs)
  const [calmHealthMs, calmStreamMs] = [health.take(), stream.take()]
  const sinceMs = performance.now()
  const sinceThreadMs = threadMs(pid)
  const answer = await fetch(url + attack.path, { method: 'POST', body: attack.body })
  await answer.text()
  const tookMs = performance.now() - sinceMs
  const ownMs = Math.max(0, threadMs(pid) - sinceThreadMs - calmShare * tookMs)
  await pause(300)
  const [healthMs, streamMs] = [health.take(), stream.take()]
  ended.abort()
  await Promise.all(watching)
  const mark = healthMs < askedMs ? '✓' : '✗'
  const rounded = [healthMs, calmHealthMs, streamMs, calmStreamMs, ownMs, tookMs].map((ms) => ms.toFixed(0))
  return [mark, attack.name, String(answer.status), ...rounded]
}

const chosen = values.only === undefined ? attacks : attacks.filter(({ name }) => values.only?.includes(name))
const cli = path.join(import.meta.dirname, '../../src/cli/main.ts')
const { child, url } = await startProgram('tokenmill', [cli, 'serve', '--port', '0'])
const stop = (): void => void child.stop().then(() => process.exit(1))
process.once('SIGINT', stop)
process.once('SIGTERM', stop)
try {
  // The first schema starts the thread that compiles.
  await (await fetch(url + completions, { method: 'POST', body: schema({ type: 'boolean' }) })).text()
  console.log(
    `| | attack | status | health, ms (asked < ${askedMs}) | before | stream gap, ms | before | CPU of the serving thread, ms | answer, ms |`,
  )
  console.log('|---|---|---|---|---|---|---|---|---|')
  for (const attack of chosen) console.log(`| ${(await measure(url, child.pid, attack)).join(' | ')} |`)
} finally {
  await child.stop()
}
