import { systemClock, type OptionValues } from '../core/index.ts'
import { createLogger, droppedNote, LineWriter, toLineTarget, type Logger } from '../telemetry/index.ts'
import type { telemetryOptions } from '../telemetry/options.ts'
import type { Io } from './command.ts'

export interface ServiceLog {
  readonly writer: LineWriter
  readonly logger: Logger
}

/**
 * The log of a command that serves others, on standard error. A failure that nothing handles becomes its last line, and
 * the exit code 1, so that a supervisor starts the process again.
 */
export function openServiceLog(io: Io, settings: OptionValues<typeof telemetryOptions>): ServiceLog {
  const target = toLineTarget(io.stderr)
  const writer = new LineWriter(target, {
    clock: systemClock,
    maxBytes: settings.maxLogBufferBytes,
    droppedNote: (lines) => droppedNote(lines, systemClock.wallTimeMs(), target.isTTY === true),
  })
  const logger = createLogger(settings.logLevel, writer)
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'unhandled failure: the process ends')
    process.exit(1)
  })
  process.once('exit', () => writer.writeNow())
  return { writer, logger }
}
