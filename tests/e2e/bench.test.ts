import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import {
  benchOptions,
  exitCodeOf,
  htmlReport,
  RawLog,
  runBench,
  textReport,
  type BenchOptions,
  type BenchResult,
} from '../../src/bench/index.ts'
import { createMachineClock, defaultValues } from '../../src/core/index.ts'
import {
  mockOptions,
  parseFault,
  startMock,
  toMockSettings,
  type MockOptions,
  type MockServer,
} from '../../src/mock/index.ts'

/** The load generator against the mock: what it counts, whatever the server does. */

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function start(options: Partial<MockOptions> = {}): Promise<MockServer> {
  const quick = { port: 0, ttft: 'fixed:10ms', itl: 'fixed:2ms' }
  const mock = await startMock(toMockSettings({ ...defaultValues(mockOptions), ...quick, ...options }))
  closers.push(() => mock.close())
  return mock
}

/** Limits on lag are wide: these tests count, they do not time, and share their cores with others. */
const calm = { quiet: true, energy: 'none', maxSendLag: 60_000, maxReceiveLag: 60_000, output: '8', prompt: '24' }

function measure(
  urls: string | readonly string[],
  options: Partial<BenchOptions>,
  stop = new AbortController().signal,
  raw?: RawLog,
  onNote: (line: string) => void = () => {},
): Promise<BenchResult> {
  const clock = createMachineClock()
  return runBench({ ...defaultValues(benchOptions), ...calm, ...options }, [urls].flat(), {
    clock,
    stop,
    version: 'test',
    command: 'test',
    onNote,
    onProgress: () => {},
    onRun: () => {},
    ...(raw === undefined ? {} : { onRecord: (label, record) => raw.write(label, record) }),
  })
}

describe('runBench() counts', () => {
  it('every request of a closed loop, with the lengths and usage that the server reports', async () => {
    const mock = await start()
    const result = await measure(mock.url, { concurrency: ['4'], requests: 40 })
    expect(result.summary).toMatchObject({ requestsTotal: 40, errorsTotal: 0, outputTokensMean: 8, usageReported: 1 })
    // A chat's template adds one token in the mock.
    expect(result.summary['inputTokensMean']).toBe(25)
    expect(result.lengthsFrom).toBe('endpoint')
    expect(result.loop).toBe('closed')
    expect(result.sloHeld).toBeNull()
    expect(exitCodeOf(result, false)).toBe(0)
    // One probe and forty requests, each unique from its first block on.
    expect(mock.records()).toHaveLength(41)
    expect(mock.records().every((record) => record.cachedTokens === 0)).toBe(true)
  })

  it('what the mock wrote: TTFT and gaps agree with its write times', async () => {
    const mock = await start({ ttft: 'lognormal:30ms,0.4', itl: 'gamma:8ms,0.5', tokensPerChunk: 'choice:1,2,3' })
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'bench-')), 'raw.jsonl')
    const raw = new RawLog(file)
    const result = await measure(mock.url, { concurrency: ['4'], requests: 24, output: '16' }, undefined, raw)
    expect(await raw.close()).toBeUndefined()
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    const records = lines.map((line) => JSON.parse(line) as { session: number; chunksMs: number[]; ttftMs: number })
    expect(records).toHaveLength(24)
    const originMs = result.points[0]?.runs[0]?.originMs ?? 0
    const ways: number[] = []
    for (const record of records) {
      const truth = mock.records().find((each) => each.requestId === `bench-1-${record.session}-0`)
      expect(record.chunksMs).toHaveLength(truth?.writesMs.length ?? 0)
      for (const [index, at] of record.chunksMs.entries()) ways.push(originMs + at - (truth?.writesMs[index] ?? 0))
      expect(record.ttftMs).toBeGreaterThan((truth?.writesMs[0] ?? 0) - (truth?.receivedMs ?? 0))
    }
    // Both clocks count the same milliseconds: no chunk arrives before it was written, and most arrive soon.
    expect(Math.min(...ways)).toBeGreaterThan(-0.05)
    expect(ways.toSorted((a, b) => a - b)[Math.floor(ways.length / 2)]).toBeLessThan(50)
  })

  it('each way to fail under its own name, as often as the server failed so', async () => {
    const outcomeOf: Readonly<Record<string, string>> = {
      error: 'httpError',
      unavailable: 'refused',
      rateLimit: 'refused',
      html: 'notJson',
      malformed: 'malformed',
      errorEvent: 'errorEvent',
      disconnect: 'cut',
      refuse: 'cut',
      truncate: 'truncated',
      empty: 'empty',
      hang: 'timedOut',
      silent: 'timedOut',
    }
    const mock = await start({ seed: 5, fault: Object.keys(outcomeOf).map((kind) => `${kind}:0.06`) })
    const result = await measure(mock.url, { concurrency: ['16'], requests: 160, failurePause: 1, timeout: 3000 })
    const expected: Record<string, number> = {}
    // The first was the probe.
    const records = mock.records().slice(1)
    for (const [index, { fault, requestId }] of records.entries()) {
      // A kept connection that closes before any has been seen to answer again: sent once more, and judged by that.
      if (fault === 'refuse' && records.slice(index + 1).some((each) => each.requestId === requestId)) continue
      const outcome = fault === undefined ? 'ok' : (outcomeOf[fault] ?? 'ok')
      expected[outcome] = (expected[outcome] ?? 0) + 1
    }
    expect(result.points[0]?.runs[0]?.outcomes).toEqual(expected)
    expect(result.summary['requestsTotal']).toBe(160)
    expect(Object.keys(expected)).toHaveLength(10)
    expect(result.summary['attainment']).toBeLessThan(0.5)
    expect(textReport(result)).toContain('httpError: 500: The mock was told to fail.')
  })

  it('servers that never end: tokens, an event or a body without end, each stopped at its limit and named', async () => {
    const word = 'data: {"choices":[{"index":0,"delta":{"content":" on"},"finish_reason":null}]}\n\n'
    const last = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    let sent = 0
    const url = await serveHttp((request, response) => {
      // The probe and /tokenize get what they want.
      const kind = sent < 2 ? 'whole' : (['tokens', 'event', 'body'][sent % 3] ?? '')
      if (request.url?.endsWith('/chat/completions') === true) sent += 1
      response.setHeader('content-type', kind === 'body' ? 'application/json' : 'text/event-stream')
      if (kind === 'whole') return response.end(`${word}${last}`)
      const piece = kind === 'tokens' ? word : kind === 'event' ? `data: ${'x'.repeat(4000)}` : ' '.repeat(1 << 20)
      const more = setInterval(() => response.writableLength > 1 << 22 || response.write(piece), 1)
      return response.on('close', () => clearInterval(more))
    })
    const limits = { requests: 6, timeout: 1500, maxEventBytes: 65_536, failurePause: 1 }
    const result = await measure(url, { model: 'm', concurrency: ['6'], ...limits })
    const { outcomes = {}, failures = [] } = result.points[0]?.runs[0] ?? {}
    // A body without end meets its own limit or the clock, whichever comes first on this machine.
    expect((outcomes['timedOut'] ?? 0) + (outcomes['malformed'] ?? 0)).toBe(6)
    expect(outcomes['timedOut']).toBeGreaterThanOrEqual(2)
    expect(outcomes['malformed']).toBeGreaterThanOrEqual(2)
    const text = failures.map(({ message }) => message).join('\n')
    expect(text).toMatch(/timedOut: no complete answer within 1500 ms/)
    expect(text).toMatch(/malformed: .*maxEventBytes/)
    expect(result.valid).toBe(false)
  })

  it('requests to a server that goes away during the run', async () => {
    const mock = await start({ itl: 'fixed:20ms' })
    const run = measure(mock.url, { concurrency: ['4'], duration: 60_000, failurePause: 5, maxFailuresInRow: 30 })
    await expect.poll(() => mock.totals().requests, { timeout: 20_000 }).toBeGreaterThan(10)
    await mock.close()
    const result = await run
    const { outcomes = {}, failures = [] } = result.points[0]?.runs[0] ?? {}
    expect(outcomes['ok']).toBeGreaterThan(5)
    expect(outcomes['cut']).toBeGreaterThan(0)
    expect(outcomes['connectFailed']).toBeGreaterThan(20)
    expect(failures.map(({ message }) => message).join('\n')).toMatch(/connectFailed: .*ECONNREFUSED/)
    expect(Object.values(outcomes).reduce((sum, count) => sum + count, 0)).toBe(result.summary['requestsTotal'])
  })

  it('servers without usage, without streaming, and with usage that cannot be true', async () => {
    const mock = await start()
    mock.setFaults([parseFault('noUsage:1')])
    const silent = await measure(mock.url, { concurrency: ['2'], requests: 12 })
    expect(silent.summary).toMatchObject({ outputTokensMean: 8, usageReported: 0, cachedShare: null })
    mock.setFaults([parseFault('noStream:1')])
    const whole = await measure(mock.url, { concurrency: ['2'], requests: 12, slo: 'tpot=1s' })
    expect(whole.summary).toMatchObject({ tpotMsP50: null, attainment: 0, errorsTotal: 0 })
    expect(exitCodeOf(whole, false)).toBe(2)
    mock.setFaults([parseFault('wrongUsage:1')])
    const wrong = await measure(mock.url, { concurrency: ['2'], requests: 12 })
    expect(wrong.summary['usageSuspect']).toBe(wrong.summary['completed'])
    expect(textReport(wrong)).toContain('cannot be true')
  })

  it('embeddings and completions', async () => {
    const mock = await start()
    const vectors = await measure(mock.url, { api: 'embedding', concurrency: ['2'], requests: 20 })
    expect(vectors.summary).toMatchObject({ requestsTotal: 20, errorsTotal: 0 })
    const texts = await measure(mock.url, { api: 'completion', concurrency: ['2'], requests: 20 })
    expect(texts.summary).toMatchObject({ errorsTotal: 0, inputTokensMean: 24, outputTokensMean: 8 })
  })
})

describe('runBench() judges its own client', () => {
  it('by the median of its lag where a run has too few answers for a p99, by the p99 from then on', async () => {
    const mock = await start({ ttft: 'fixed:1ms', itl: 'fixed:1ms' })
    const options = { concurrency: ['8'], output: '1', maxSendLag: 1e-6, warmup: '0' }
    const few = await measure(mock.url, { ...options, requests: 40 })
    expect(few.valid).toBe(false)
    expect(textReport(few)).toMatch(/INVALID: Send lag p50 is/)
    expect(exitCodeOf(few, false)).toBe(3)
    const many = await measure(mock.url, { ...options, requests: 140 })
    expect(textReport(many)).toMatch(/INVALID: Send lag p99 is/)
  })
})

describe('runBench() offers', () => {
  it('an open loop whatever the server does: a stall shows in every request that was due during it', async () => {
    // One request at a time, 100 ms each: at 20 a second the line grows, and so does every later TTFT.
    const mock = await start({ ttft: 'fixed:100ms', maxRunning: 1 })
    const result = await measure(mock.url, {
      rate: ['20'],
      arrivals: 'constant',
      requests: 20,
      output: '1',
      warmup: '0',
    })
    const run = result.points[0]?.runs[0]
    expect(result.loop).toBe('open')
    // The last was due at 1 s, its turn comes after 19 others: about 1 s later.
    expect(result.summary['ttftMsMax']).toBeGreaterThan(900)
    expect(run?.summary['requestsTotal']).toBe(20)
  })

  it('Mooncake’s blocks as prefixes that the server’s cache finds again, and nothing else', async () => {
    const mock = await start({ cacheBlockTokens: 16 })
    const folder = mkdtempSync(path.join(tmpdir(), 'trace-'))
    const rows = [
      { timestamp: 0, input_length: 150, output_length: 4, hash_ids: [0, 1, 2], block_size: 64 },
      { timestamp: 300, input_length: 180, output_length: 4, hash_ids: [0, 1, 3], block_size: 64 },
      { timestamp: 600, input_length: 150, output_length: 4, hash_ids: [7, 8, 9], block_size: 64 },
      { timestamp: 900, input_length: 190, output_length: 4, hash_ids: [0, 5, 6], block_size: 64 },
    ]
    const file = path.join(folder, 'trace.jsonl')
    writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'))
    const result = await measure(mock.url, { trace: file, speed: 3 })
    expect(result.summary).toMatchObject({ requestsTotal: 4, errorsTotal: 0 })
    const traced = mock.records().filter((record) => record.requestId?.startsWith('bench-') === true)
    // The role token shifts blocks by one: two shared blocks of 64 are 128 + 1 tokens, eight full cache blocks.
    expect(traced.map((record) => record.cachedTokens)).toEqual([0, 128, 0, 64])
  })

  it('conversations that carry the real answers', async () => {
    const mock = await start()
    const result = await measure(mock.url, { concurrency: ['1'], requests: 6, turns: 3 })
    expect(result.summary).toMatchObject({ requestsTotal: 6, errorsTotal: 0 })
    const turns = mock.records().slice(1)
    // 24 + role; then the answer of 8 + role and the next 24 + role, again and again.
    expect(turns.map((record) => record.promptTokens)).toEqual([25, 59, 93, 25, 59, 93])
    // Whole blocks of 16 of the turns before.
    expect(turns.map((record) => record.cachedTokens)).toEqual([0, 16, 48, 0, 16, 48])
  })

  it('shared prefixes when asked, and says what the server found of them', async () => {
    const mock = await start()
    const result = await measure(mock.url, { concurrency: ['2'], requests: 40, prompt: '160', sharedPrefix: 0.8 })
    expect(result.summary['cachedShare']).toBeGreaterThan(0.7)
    expect(result.summary['cachedShare']).toBeLessThanOrEqual(0.8)
  })

  it('classes in their shares, each judged by its own objectives', async () => {
    const mock = await start({ ttft: 'fixed:30ms' })
    const result = await measure(mock.url, {
      concurrency: ['8'],
      requests: 160,
      class: ['strict:ttft=1ms,share=0.25', 'easy:ttft=10s,tpot=5s,output=uniform:2,4'],
    })
    const [strict, easy] = result.points[0]?.runs[0]?.classes ?? []
    expect(strict).toMatchObject({ name: 'strict', attainment: 0 })
    expect(easy).toMatchObject({ name: 'easy', attainment: 1 })
    expect((strict?.offered ?? 0) / ((strict?.offered ?? 0) + (easy?.offered ?? 0))).toBeCloseTo(0.25, 0)
    expect(result.sloHeld).toBe(false)
    expect(result.summary['attainmentWorstClass']).toBe(0)
  })

  it('the same requests again under the same seed', async () => {
    const mock = await start()
    await measure(mock.url, { concurrency: ['2'], requests: 10, prompt: 'uniform:5,50', output: 'uniform:1,9' })
    const first = mock
      .records()
      .slice(1)
      .map((each) => [each.requestId, [each.promptTokens, each.writeTokens.length]] as const)
    const again = await start()
    await measure(again.url, { concurrency: ['5'], requests: 10, prompt: 'uniform:5,50', output: 'uniform:1,9' })
    const second = again
      .records()
      .slice(1)
      .map((each) => [each.requestId, [each.promptTokens, each.writeTokens.length]] as const)
    expect(new Map(second)).toEqual(new Map(first))
  })
})

describe('runBench() searches', () => {
  it('a sweep, with intervals where repeated', async () => {
    const mock = await start({ steps: 'base=4ms,seq=1ms,prefill=0.01ms' })
    const options = { sweep: 'concurrency=1,4', requests: 24, repeats: 3, warmup: '0' }
    const result = await measure(mock.url, options)
    expect(result.points.map((point) => point.load)).toEqual([1, 4])
    const [alone, four] = result.points.map((point) => point.summary)
    expect(four?.['outputTokPerS']).toBeGreaterThan(alone?.['outputTokPerS'] ?? Infinity)
    expect(alone?.['ttftMsP50Low']).toBeLessThanOrEqual(alone?.['ttftMsP50'] ?? 0)
    expect(alone?.['ttftMsP50High']).toBeGreaterThanOrEqual(alone?.['ttftMsP50'] ?? Infinity)
    expect(htmlReport([result, result])).toContain('Throughput against interactivity')
    // Loads and repeats of equal seeds find nothing of each other in the server's cache.
    expect(mock.records().every((record) => record.cachedTokens === 0)).toBe(true)
  })

  it('the highest rate that a server of known capacity can keep', async () => {
    // 20 ms a request, one at a time: 50 a second in the long run. Within one second at r a second the backlog's wait,
    // (r − 50) × 20 ms, may reach 130 ms for the last tenth of the requests before a tenth of them is late: r = 57.
    const mock = await start({ ttft: 'fixed:20ms', maxRunning: 1 })
    const options = { findGoodput: true, slo: 'ttft=150ms', startRate: 10, output: '1', duration: 1000, precision: 0.5 }
    const result = await measure(mock.url, options)
    expect(result.kind).toBe('goodput')
    expect(result.summary['maxRateRps']).toBeGreaterThan(9)
    expect(result.summary['maxRateRps']).toBeLessThan(65)
    expect(textReport(result)).toContain('Highest rate')
  })

  it('a comparison of two endpoints, interleaved, with the true ratio in its interval', async () => {
    const [a, b] = [await start({ itl: 'fixed:6ms' }), await start({ itl: 'fixed:18ms' })]
    const result = await measure([a.url, b.url], { compare: true, concurrency: ['2'], requests: 16, warmup: '0' })
    const { tpotMsP50 } = result.ratios ?? {}
    expect(tpotMsP50?.ratio).toBeGreaterThan(2)
    expect(tpotMsP50?.low).toBeGreaterThan(1)
    expect(result.points.map((point) => point.runs.length)).toEqual([3, 3])
    expect(textReport(result)).toMatch(/TPOT p50 .*B worse/)
    const page = htmlReport([result])
    expect(page).toContain('TPOT p50, B over A')
    expect(page).toContain(`B: mock at ${b.url}`)
    expect(page).not.toContain('Throughput against interactivity')
  })

  it('a comparison under the user’s own labels, which is invalid where one side knew the prompts, with that side named', async () => {
    const [a, b] = [await start(), await start()]
    const options = { seed: 5, concurrency: ['2'], requests: 16, warmup: '0', prompt: '160' }
    // What the first run of the comparison will send to A is in its cache already.
    for (const repeats of [5]) await measure(a.url, { ...options, repeats })
    const labels = { label: ['old', 'new'] }
    const result = await measure([a.url, b.url], { ...options, ...labels, compare: true, repeats: 3 })
    expect(result.points.map((point) => point.label)).toEqual(['old', 'new'])
    expect(result.valid).toBe(false)
    expect(textReport(result)).toMatch(/INVALID: old found \d+ % of its prompt tokens in its cache, new \d+ %/)
    // Without a seed every bench has texts of its own.
    const salted = await measure(a.url, { ...options, seed: undefined })
    const again = await measure(a.url, { ...options, seed: undefined })
    expect(again.summary['cachedShare']).toBe(0)
    expect(again.textSalt).not.toBe(salted.textSalt)
  })

  it('repeats of few answers together, and says so', async () => {
    const mock = await start()
    const options = { concurrency: ['4'], requests: 40, repeats: 3, warmup: '0', slo: 'ttft=10s' }
    const result = await measure(mock.url, options)
    expect(result.points[0]?.runs[0]?.summary['ttftMsP99']).toBeNull()
    expect(result.summary['ttftMsP99']).toBeGreaterThan(0)
    expect(result.summary['ttftMsP99Low']).toBeUndefined()
    expect(result.summary).toMatchObject({ attainment: 1, ttftMsCount: 120 })
    expect(textReport(result)).toMatch(/note: Repeats have as few as 40 complete answers/)
  })

  it('a comparison of a server with itself, neither side finding the other’s prompts in its cache', async () => {
    const mock = await start()
    const result = await measure([mock.url, mock.url], { compare: true, concurrency: ['2'], requests: 8, warmup: '0' })
    // Only the second side's probe is known.
    expect(mock.records().filter((record) => record.cachedTokens > 0).length).toBeLessThanOrEqual(1)
    expect(result.points.map((point) => point.summary['requestsTotal'])).toEqual([8, 8])
  })
})

describe('runBench() ends', () => {
  it('with a report of what was measured when the user stops it', async () => {
    const mock = await start({ itl: 'fixed:20ms' })
    const stop = new AbortController()
    const run = measure(mock.url, { concurrency: ['4'], output: '10', duration: 60_000 }, stop.signal)
    await expect.poll(() => mock.totals().requests, { timeout: 10_000 }).toBeGreaterThan(10)
    stop.abort()
    const result = await run
    const [only] = result.points[0]?.runs ?? []
    expect(only?.interrupted).toBe(true)
    expect(only?.summary['requestsTotal']).toBeGreaterThan(10)
    expect(result.summary['errorsTotal']).toBe(0)
    expect(exitCodeOf(result, true)).toBe(130)
    await expect.poll(() => mock.totals().running).toBe(0)
  })

  it('at the drain limit when answers never come, and names them unfinished', async () => {
    const mock = await start()
    const run = measure(mock.url, { concurrency: ['3'], duration: 300, drain: 300, output: '4' })
    await expect.poll(() => mock.records().length, { timeout: 20_000 }).toBeGreaterThan(0)
    mock.setFaults([parseFault('hang:1')])
    const result = await run
    expect(result.points[0]?.runs[0]?.outcomes['unfinished']).toBe(3)
  })

  it('early when nothing succeeds any more', async () => {
    const mock = await start()
    const run = measure(mock.url, { concurrency: ['2'], duration: 60_000, failurePause: 1, maxFailuresInRow: 20 })
    await expect.poll(() => mock.records().length, { timeout: 20_000 }).toBeGreaterThan(0)
    mock.setFaults([parseFault('error:1')])
    const result = await run
    expect(result.valid).toBe(false)
    expect(textReport(result)).toMatch(/INVALID: Given up: 20 requests failed in a row.*told to fail/)
  })

  it('before it begins when the endpoint cannot be measured, saying why', async () => {
    const mock = await start()
    await expect(measure(mock.url, { model: 'nobody' })).rejects.toThrow(
      /404.*is not served here.*Is the model name right/s,
    )
    await expect(measure(`${mock.url}/v1`, { model: 'mock' })).rejects.toThrow(/cannot be measured: httpError: 404/)
    await expect(measure('http://127.0.0.1:9/v1', { model: 'm' })).rejects.toThrow(
      /connectFailed: .*Is the server running/,
    )
    await expect(measure('ftp://host', {})).rejects.toThrow(/http and https are measured/)
    const page = await servePage('<html>Welcome</html>')
    await expect(measure(page, { model: 'm' })).rejects.toThrow(
      /notJson: answered <html>.*does the base URL end in \/v1/,
    )
  })

  it('after a wait, stated with its limit, where the server is still loading', async () => {
    const mock = await start()
    mock.setFaults([parseFault('unavailable:1')])
    const notes: string[] = []
    const onNote = (line: string): void => {
      notes.push(line)
      mock.setFaults([])
    }
    const result = await measure(mock.url, { requests: 4, model: 'mock' }, undefined, undefined, onNote)
    expect(notes[0]).toMatch(/is not ready \(503: .*\): waiting up to 120 s/)
    expect(notes[1]).toMatch(/became ready after [\d.]+ s/)
    expect(result.summary).toMatchObject({ requestsTotal: 4, errorsTotal: 0 })
    mock.setFaults([parseFault('unavailable:1')])
    await expect(measure(mock.url, { model: 'mock', readyTimeout: 0 })).rejects.toThrow(/did not become ready in time/)
    await expect(measure(mock.url, { model: 'mock', readyTimeout: 600 })).rejects.toThrow(/raise --ready-timeout/)
  })

  it('after a wait for a listener, where the user asks for one', async () => {
    const first = await start()
    const { port } = new URL(first.url)
    await first.close()
    const notes: string[] = []
    let late: Promise<MockServer> | undefined
    const onNote = (line: string): void => {
      notes.push(line)
      late ??= start({ port: Number(port) })
    }
    const options = { requests: 4, readyTimeout: 30_000 }
    const result = await measure(first.url, options, undefined, undefined, onNote)
    expect(notes[0]).toMatch(/is not ready \(connect ECONNREFUSED .*\): waiting up to 30 s/)
    expect(result.summary).toMatchObject({ requestsTotal: 4, errorsTotal: 0 })
  })

  it('after a wait where the list of models is not ready either', async () => {
    let asked = 0
    const url = await serveHttp((request, response) => {
      asked += 1
      if (asked > 2) response.end(request.url === '/v1/models' ? '{"data":[{"id":"late"}]}' : '<html>')
      else response.writeHead(503, 'Loading').end('{}')
    })
    await expect(measure(url, {})).rejects.toThrow(/model 'late'.*notJson/)
  })

  it('before it begins when options contradict each other', async () => {
    const url = 'http://127.0.0.1:9/v1'
    await expect(measure(url, { rate: ['1'], concurrency: ['1'] })).rejects.toThrow(/exclude each other/)
    await expect(measure(url, { findGoodput: true })).rejects.toThrow(/needs objectives/)
    await expect(measure(url, { class: ['a:share=0.5', 'b:share=0.6'] })).rejects.toThrow(/sum to 1/)
    await expect(measure(url, { trace: '/nonexistent' })).rejects.toThrow(/Cannot read the trace/)
    await expect(measure([url, url], {})).rejects.toThrow(/One URL is needed; 2 given/)
    const injected = { model: 'm', header: ['x-a: b\r\nx-c: d'] }
    await expect(measure(url, injected)).rejects.toThrow(/'x-a' holds characters that a header cannot/)
    await expect(measure(url, { model: 'm', header: ['Content-Length: 3'] })).rejects.toThrow(
      /set by the client itself/,
    )
  })
})

function servePage(html: string): Promise<string> {
  return serveHttp((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end(html)
  })
}

/** A server that answers as it likes; its base URL. */
function serveHttp(answer: RequestListener): Promise<string> {
  return new Promise((resolve) => {
    const server: Server = createServer(answer).listen(0, '127.0.0.1', () =>
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`),
    )
    closers.push(
      () =>
        new Promise((closed) => {
          server.close(closed)
          server.closeAllConnections()
        }),
    )
  })
}
