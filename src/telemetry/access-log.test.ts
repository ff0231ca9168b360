import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../core/index.ts'
import type { UsageRecord } from '../inference/index.ts'
import { AccessLog } from './access-log.ts'
import type { LogLevel } from './options.ts'

const whole: UsageRecord = {
  requestId: 'req-1',
  operation: 'POST /v1/chat/completions',
  model: 'a "quoted"\nmodel \u{1f600} \ud800',
  endpoint: 'http://127.0.0.1:9001',
  keyName: 'team\t1',
  stream: true,
  outcome: 'failed',
  errorCode: 'upstream_failed',
  httpStatus: 200,
  promptTokens: 7,
  cachedTokens: 3,
  completionTokens: 2,
  reasoningTokens: 0,
  tokensEstimated: true,
  receivedAtMs: 0,
  admittedAfterMs: 0.04,
  ttftMs: 10.06,
  tpotMs: 20.25,
  stallMs: 30,
  durationMs: 1234.5678,
}

const bare: UsageRecord = {
  ...whole,
  model: '',
  outcome: 'cancelled',
  endpoint: undefined,
  keyName: undefined,
  errorCode: 'cancelled',
  httpStatus: undefined,
  cachedTokens: undefined,
  reasoningTokens: undefined,
  tokensEstimated: false,
  admittedAfterMs: undefined,
  ttftMs: undefined,
  tpotMs: undefined,
  stallMs: undefined,
}

function linesOf(level: LogLevel, records: readonly UsageRecord[], isTTY = false): string[] {
  const lines: string[] = []
  const log = new AccessLog(level, { write: (line) => lines.push(line), isTTY }, new VirtualClock())
  for (const record of records) log.write(record)
  return lines
}

describe('AccessLog', () => {
  it('writes a JSON line with every field, whatever characters they hold; times to a tenth', () => {
    const [line = ''] = linesOf('info', [whole])
    expect(line.endsWith('}\n')).toBe(true)
    expect(line.trim()).not.toContain('\n')
    const { receivedAtMs: _, ...fields } = whole
    expect(JSON.parse(line)).toEqual({
      level: 'error',
      time: '1970-01-01T00:00:00.000Z',
      ...fields,
      admittedAfterMs: 0,
      ttftMs: 10.1,
      tpotMs: 20.3,
      durationMs: 1234.6,
      msg: 'request',
    })
  })

  it('leaves out what a request did not come to', () => {
    const [line = ''] = linesOf('info', [bare])
    expect(Object.keys(JSON.parse(line) as object)).toEqual([
      'level',
      'time',
      'requestId',
      'operation',
      'model',
      'stream',
      'outcome',
      'errorCode',
      'promptTokens',
      'completionTokens',
      'durationMs',
      'msg',
    ])
  })

  it('writes what the level asks for: failures at error and warn, all at info, nothing when silent', () => {
    const records = [whole, bare]
    const counts = (['silent', 'error', 'warn', 'info', 'debug'] as const).map(
      (level) => linesOf(level, records).length,
    )
    expect(counts).toEqual([0, 1, 1, 2, 2])
  })

  it('writes short lines for people at a terminal', () => {
    expect(linesOf('info', [bare], true)[0]).toMatch(/^00:00:00 info request requestId=req-1 operation=POST /)
  })

  it('tells the time to the millisecond', async () => {
    const clock = new VirtualClock()
    const times: unknown[] = []
    const log = new AccessLog(
      'info',
      { write: (line) => times.push((JSON.parse(line) as { time: string }).time) },
      clock,
    )
    for (const ms of [7, 90, 903, 61_000]) {
      await clock.advance(ms)
      log.write(whole)
    }
    expect(times).toEqual(
      ['00.007', '00.097', '01.000', '02.000'].map((end, minute) => `1970-01-01T00:0${minute === 3 ? 1 : 0}:${end}Z`),
    )
  })
})
