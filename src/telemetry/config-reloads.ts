import type { Registry } from 'prom-client'
import type { TokenmillError } from '../core/index.ts'
import type { Logger } from './logs.ts'
import { CounterFamily } from './metric-family.ts'

/** Tells whether a changed configuration file was taken over: one line and one count each time. */
export class ConfigReloads {
  readonly #logger: Logger
  readonly #counts: CounterFamily
  readonly #applied: number
  readonly #refused: number

  constructor(registry: Registry, logger: Logger) {
    this.#logger = logger
    this.#counts = new CounterFamily(registry, {
      name: 'tokenmill_config_reloads_total',
      help: 'Changed configuration files, by whether they were taken over',
      labelNames: ['outcome'],
    })
    this.#applied = this.#counts.series('applied')
    this.#refused = this.#counts.series('refused')
  }

  /** `needRestart` names settings that changed and are read at the start alone. */
  applied(file: string, needRestart: readonly string[]): void {
    this.#counts.add(this.#applied)
    if (needRestart.length === 0) this.#logger.info({ file }, 'configuration reloaded')
    else this.#logger.warn({ file, needRestart }, 'configuration reloaded; some settings need a restart')
  }

  /** The old configuration stays in force. */
  refused(file: string, error: TokenmillError): void {
    this.#counts.add(this.#refused)
    this.#logger.error({ file, problems: error.message.split('\n') }, 'configuration refused; the old one stays')
  }
}
