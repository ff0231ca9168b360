import type { Clock } from '../core/index.ts'
import type { UsageRecord } from '../inference/index.ts'
import { toTerminalLine, type LogTarget } from './logs.ts'
import type { LogLevel } from './options.ts'

/** Texts whose JSON form is kept: models, endpoints, keys and operations come again and again. */
const maxQuoted = 1000
const maxQuotedLength = 256

/** One line for each request, made from its record alone: one string, without an object in between. */
export class AccessLog {
  readonly #target: LogTarget
  readonly #clock: Clock
  readonly #failed: boolean
  readonly #all: boolean
  readonly #quoted = new Map<string, string>()
  #second = -1
  #secondText = ''

  constructor(level: LogLevel, target: LogTarget, clock: Clock) {
    this.#target = target
    this.#clock = clock
    this.#failed = level !== 'silent'
    this.#all = level === 'info' || level === 'debug'
  }

  write(record: UsageRecord): void {
    const failed = record.outcome === 'failed'
    if (failed ? !this.#failed : !this.#all) return
    const line = this.#line(record, failed ? 'error' : 'info')
    this.#target.write(this.#target.isTTY === true ? toTerminalLine(line) : line)
  }

  #line(record: UsageRecord, level: 'error' | 'info'): string {
    const { endpoint, keyName, errorCode, httpStatus, cachedTokens, reasoningTokens } = record
    let line = `{"level":"${level}","time":"${this.#time()}","requestId":${JSON.stringify(record.requestId)}`
    line += `,"operation":${this.#quote(record.operation)},"model":${this.#quote(record.model)}`
    if (endpoint !== undefined) line += `,"endpoint":${this.#quote(endpoint)}`
    if (keyName !== undefined) line += `,"keyName":${this.#quote(keyName)}`
    line += `,"stream":${record.stream},"outcome":"${record.outcome}"`
    if (errorCode !== undefined) line += `,"errorCode":"${errorCode}"`
    if (httpStatus !== undefined) line += `,"httpStatus":${httpStatus}`
    line += `,"promptTokens":${record.promptTokens}`
    if (cachedTokens !== undefined) line += `,"cachedTokens":${cachedTokens}`
    line += `,"completionTokens":${record.completionTokens}`
    if (reasoningTokens !== undefined) line += `,"reasoningTokens":${reasoningTokens}`
    if (record.tokensEstimated) line += ',"tokensEstimated":true'
    line += milliseconds('admittedAfterMs', record.admittedAfterMs)
    line += milliseconds('ttftMs', record.ttftMs)
    line += milliseconds('tpotMs', record.tpotMs)
    line += milliseconds('stallMs', record.stallMs)
    return `${line}${milliseconds('durationMs', record.durationMs)},"msg":"request"}\n`
  }

  /** ISO 8601. All but the milliseconds is made once a second. */
  #time(): string {
    const nowMs = this.#clock.wallTimeMs()
    const second = Math.floor(nowMs / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#secondText = new Date(second * 1000).toISOString().slice(0, -4)
    }
    const ms = Math.floor(nowMs) - second * 1000
    return `${this.#secondText}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`
  }

  #quote(text: string): string {
    const known = this.#quoted.get(text)
    if (known !== undefined) return known
    const quoted = JSON.stringify(text)
    if (text.length > maxQuotedLength) return quoted
    // Clients may send any name of a model: past the bound the memory starts again.
    if (this.#quoted.size >= maxQuoted) this.#quoted.clear()
    this.#quoted.set(text, quoted)
    return quoted
  }
}

/** To a tenth, as in all log lines. */
function milliseconds(name: string, value: number | undefined): string {
  return value === undefined ? '' : `,"${name}":${Math.round(value * 10) / 10}`
}
