import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onAbort, throwIfAborted, TokenmillError, type Clock } from '../../core/index.ts'
import type { FromChild, LoadedModelInfo, LoadSpec, ToChild } from '../messages.ts'

export type ProcessState = 'loading' | 'ready' | 'restarting' | 'unloaded' | 'unavailable' | 'closed'

export interface ProcessListener {
  /** A message other than those about loading. */
  onMessage(message: FromChild): void
  /** The process is gone, and with it all that it was doing. */
  onDown(error: TokenmillError): void
}

/**
 * One engine process at a time: started, watched, started again.
 *
 *   loading ──→ ready ──→ restarting ──→ ready …      a crash after loading: again at once, then with backoff
 *      │          └─────→ unloaded ───→ loading …     asked for by `unload`; the next `acquire` loads
 *      └─→ unavailable                                the first load failed: nothing would change by repeating it
 *
 * It owns the child. Nobody else sends to it or ends it.
 */
export class EngineProcess {
  readonly #spec: LoadSpec
  readonly #listener: ProcessListener
  readonly #clock: Clock
  readonly #log = new LastLines(64)
  #child: ChildProcess | undefined
  /** Why `kill` ended it. */
  #killedFor: string | undefined
  #state: ProcessState = 'unloaded'
  #progress = 0
  #model: LoadedModelInfo | undefined
  #failure: TokenmillError | undefined
  #failedStarts = 0
  #cancelRestart: (() => void) | undefined
  readonly #waiting = new Set<() => void>()

  constructor(spec: LoadSpec, listener: ProcessListener, clock: Clock) {
    this.#spec = spec
    this.#listener = listener
    this.#clock = clock
  }

  get state(): ProcessState {
    return this.#state
  }

  /** 0 to 1. */
  get progress(): number {
    return this.#progress
  }

  /** Of the last successful load. */
  get model(): LoadedModelInfo | undefined {
    return this.#model
  }

  start(): void {
    if (this.#state === 'closed' || this.#child !== undefined) return
    this.#cancelRestart?.()
    this.#progress = 0
    this.#enter(this.#failedStarts > 0 ? 'restarting' : 'loading')
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const child = fork(fileURLToPath(new URL(`../child/process.${extension}`, import.meta.url)), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    })
    this.#child = child
    this.#log.clear()
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#log.add(text))
    child.on('message', (message: FromChild) => this.#receive(message))
    child.on('error', (error) => this.#log.add(`${error.message}\n`))
    // 'close' comes after the last byte of its log, which names the fault.
    child.on('close', (code, signal) => this.#gone(child, code, signal))
    this.send({ type: 'load', spec: this.#spec })
  }

  /** Resolves once a model is loaded; loads it first where it is unloaded. Throws the load's error, or `cancelled`. */
  async acquire(signal: AbortSignal): Promise<void> {
    if (this.#state === 'unloaded') this.start()
    while (this.#state !== 'ready') {
      throwIfAborted(signal)
      if (this.#state === 'closed') throw new TokenmillError('unavailable', 'The engine is closed.')
      if (this.#failedStarts >= hopelessStarts) throw this.#down()
      if (this.#state === 'unavailable') throw this.#failure ?? new TokenmillError('unavailable', 'The engine is down.')
      await this.#change(signal)
    }
    throwIfAborted(signal)
  }

  /** After some failed starts in a row nobody waits any longer; starting goes on, ever more slowly. */
  #down(): TokenmillError {
    const text = `The engine's process has failed to start ${this.#failedStarts} times in a row; it will be tried again.`
    return new TokenmillError('unavailable', text, { retryAfterMs: backoffMs(this.#failedStarts) }, this.#failure)
  }

  /** Messages to a process that is gone are dropped: `onDown` has told already. */
  send(message: ToChild): void {
    if (this.#child?.connected === true) this.#child.send(message, () => {})
  }

  /** Ends the process and its memory until the next `acquire`. */
  unload(): void {
    if (this.#state === 'ready') this.#stop('unloaded')
  }

  /** Ends a process that is lost; it is started again as after a crash. `reason` continues "The engine's process …". */
  kill(reason: string): void {
    this.#killedFor = reason
    this.#child?.kill('SIGKILL')
  }

  async close(): Promise<void> {
    this.#cancelRestart?.()
    const child = this.#child
    this.#stop('closed')
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    await new Promise((resolve) => child.once('close', resolve))
  }

  #receive(message: FromChild): void {
    if (message.type === 'progress') {
      this.#progress = message.progress
    } else if (message.type === 'loaded') {
      this.#model = message.model
      this.#progress = 1
      this.#enter('ready')
    } else if (message.type === 'loadFailed') {
      const fault = this.#log.faults()
      this.#failure = new TokenmillError(
        'startup',
        fault === undefined ? message.message : `${message.message} ${fault}`,
      )
      // 'close' decides what follows.
      this.#child?.kill('SIGKILL')
    } else {
      if (message.type === 'step') this.#failedStarts = 0
      this.#listener.onMessage(message)
    }
  }

  #gone(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (child !== this.#child) return
    this.#child = undefined
    const ended = signal === null ? `with exit code ${code}` : `by ${signal}`
    const how = this.#killedFor ?? `ended ${ended}`
    this.#killedFor = undefined
    // Whoever kills from outside leaves no word in the log.
    const fault = signal === 'SIGKILL' || signal === 'SIGTERM' ? undefined : this.#log.fault()
    const detail = fault === undefined ? '' : ` Its log ends: ${fault}`
    const wasLoaded = this.#model !== undefined
    this.#listener.onDown(new TokenmillError('engine_failed', `The engine's process ${how}.${detail}`))
    if (!wasLoaded) {
      this.#failure ??= new TokenmillError(
        'startup',
        `Loading '${this.#spec.modelPath}' ended the engine's process ${ended}: the file is damaged, or memory ran out.${detail}`,
      )
      this.#enter('unavailable')
      return
    }
    this.#failure = undefined
    this.#failedStarts += 1
    this.#enter('restarting')
    if (this.#failedStarts === 1) return this.start()
    this.#cancelRestart = this.#clock.schedule(backoffMs(this.#failedStarts), () => this.start())
  }

  #stop(state: 'unloaded' | 'closed'): void {
    const child = this.#child
    this.#child = undefined
    this.#enter(state)
    child?.kill('SIGKILL')
  }

  #enter(state: ProcessState): void {
    this.#state = state
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        stopListening()
        this.#waiting.delete(wake)
        resolve()
      }
      this.#waiting.add(wake)
      const stopListening = onAbort(signal, wake)
    })
  }
}

const hopelessStarts = 3

/** 100 ms before the second try, then twice as long each time, up to half a minute. */
function backoffMs(failedStarts: number): number {
  return Math.min(30_000, 100 * 2 ** Math.max(0, failedStarts - 2))
}

/** The end of the child's log: bounded, and searched for what went wrong. */
class LastLines {
  readonly #maximum: number
  #lines: string[] = []
  #partial = ''

  constructor(maximum: number) {
    this.#maximum = maximum
  }

  clear(): void {
    this.#lines = []
    this.#partial = ''
  }

  add(text: string): void {
    const lines = (this.#partial + text).split('\n')
    this.#partial = (lines.pop() ?? '').slice(-longestLine)
    this.#lines.push(...lines.map((line) => line.slice(0, longestLine)))
    if (this.#lines.length > this.#maximum) this.#lines = this.#lines.slice(-this.#maximum)
  }

  /** Lines that speak of a fault, the last few of them; else the last line; undefined for none. */
  fault(): string | undefined {
    return this.faults() ?? this.#lines.findLast((line) => line.trim().length > 0)
  }

  /** Those lines alone: for a fault that has a message of its own. */
  faults(): string | undefined {
    const faults = [...this.#lines, this.#partial].filter((line) =>
      /error|fail|invalid|assert|abort|corrupt|terminate/i.test(line),
    )
    return faults.length === 0 ? undefined : faults.slice(-3).join(' · ').trim()
  }
}

/** Characters of a log line that are kept. */
const longestLine = 500
