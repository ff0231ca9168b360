import { pino, type Logger } from 'pino'
import type { LogLevel } from './options.ts'

export type { Logger } from 'pino'

/** Where log lines go: a LineWriter, usually. A write neither blocks nor throws. */
export interface LogTarget {
  write(line: string): unknown
  readonly isTTY?: boolean
  /** Lines that it had to drop so far; absent where it keeps all. */
  readonly droppedLines?: number
}

/** JSON lines for machines; at a terminal, short lines for people. Header and body contents are never logged. */
export function createLogger(level: LogLevel, target: LogTarget): Logger {
  const stream = target.isTTY === true ? { write: (line: string) => target.write(toTerminalLine(line)) } : target
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  )
}

/** The line that tells how many were dropped: no logger takes part, so it comes first once the target works again. */
export function droppedNote(lines: number, wallTimeMs: number, terminal: boolean): string {
  const time = new Date(wallTimeMs).toISOString()
  const line = `{"level":"warn","time":"${time}","lines":${lines},"msg":"log lines were dropped"}\n`
  return terminal ? toTerminalLine(line) : line
}

/** `10:02:03 info request operation="POST /v1/…" model="nano" …` */
export function toTerminalLine(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  const pairs = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return `${String(time).slice(11, 19)} ${String(level)} ${[String(msg), ...pairs].join(' ')}\n`
}
