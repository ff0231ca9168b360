import { describe, expect, it } from 'vitest'
import { TokenmillError, VirtualClock } from '../core/index.ts'
import type { Attempt } from '../scheduler/index.ts'
import { createLogger } from '../telemetry/index.ts'
import { AttemptLog } from './attempt-log.ts'

function open(level: 'warn' | 'debug' = 'warn') {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger(level, { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) })
  const clock = new VirtualClock()
  return { log: new AttemptLog(logger, clock), lines, clock }
}

const attempt = { route: { name: 'chat' }, engine: { endpoint: 'http://a:1' }, number: 2 } as unknown as Attempt

describe('AttemptLog', () => {
  it('tells what failed where, and what an upstream says of it at debug alone', () => {
    const error = new TokenmillError('upstream_failed', 'It quotes a prompt.', { upstreamStatus: 500 })
    const { log, lines } = open()
    log.ended(attempt, error, true)
    expect(lines).toMatchObject([
      { level: 'warn', model: 'chat', endpoint: 'http://a:1', attempt: 2, errorCode: 'upstream_failed' },
    ])
    expect(lines[0]).toMatchObject({ upstreamStatus: 500, outputStarted: true })
    expect(JSON.stringify(lines)).not.toContain('prompt')
    const { log: verbose, lines: more } = open('debug')
    verbose.ended(attempt, error, true)
    expect(more[1]).toMatchObject({ level: 'debug', msg: 'It quotes a prompt.' })
  })

  it('is silent about successes and about what is the request’s own', () => {
    const { log, lines } = open()
    log.ended(attempt, undefined, true)
    log.ended(attempt, new TokenmillError('cancelled', 'left'), true)
    log.ended(attempt, new TokenmillError('invalid_request', 'no'), false)
    expect(lines).toEqual([])
  })

  it('writes one line a second of one failure, with how many went untold', async () => {
    const { log, lines, clock } = open()
    const error = new TokenmillError('upstream_timeout', 'slow', { limit: 'firstTokenMs' })
    for (let call = 0; call < 5; call += 1) log.ended(attempt, error, false)
    log.ended(attempt, new TokenmillError('rate_limited', 'busy'), false)
    expect(lines.map(({ errorCode }) => errorCode)).toEqual(['upstream_timeout', 'rate_limited'])
    await clock.advance(1000)
    log.ended(attempt, error, false)
    expect(lines.at(-1)).toMatchObject({ errorCode: 'upstream_timeout', limit: 'firstTokenMs', untold: 4 })
  })
})
