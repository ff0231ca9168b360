import type { Clock } from '../core/index.ts'
import type { LineTarget } from './line-target.ts'

/** Longest time that a line waits for others: shorter than a person who reads along can see. */
const maxWaitMs = 50
/** Pause after a failed write: a full disk or a closed pipe is asked again at this pace, not for every batch. */
const retryMs = 1000
/** Longest wait for the target at the end: a supervisor that asked us to stop is waiting. */
const closeMs = 1000

export interface LineWriterSettings {
  readonly clock: Clock
  /** Bytes of lines held at once, those being written included. A line that would exceed it is dropped. */
  readonly maxBytes: number
  /** The line that tells how many were dropped. */
  readonly droppedNote: (lines: number) => string
}

/**
 * Writes log lines in batches, one write at a time: a write to a pipe wakes its reader, which costs more than all else
 * about an access line. A target that is slow, full or gone never blocks the caller and never throws.
 *
 *   write(line) ──▶ gathered, at most maxBytes with the batch in flight ──(50 ms)──▶ one write in flight ──▶ target
 *                        │ full: dropped                                                  │ failed: dropped
 *                        └──────────────▶ counted, told in a line of its own ◀────────────┘
 */
export class LineWriter {
  readonly isTTY: boolean
  readonly #target: LineTarget
  readonly #settings: LineWriterSettings
  #gathered = ''
  #gatheredBytes = 0
  #gatheredLines = 0
  #flightBytes = 0
  #flightLines = 0
  #inFlight = false
  #timerSet = false
  #dropped = 0
  /** Of them, those that no line has told yet. */
  #untold = 0
  #idle: () => void = () => undefined

  constructor(target: LineTarget, settings: LineWriterSettings) {
    this.#target = target
    this.#settings = settings
    this.isTTY = target.isTTY ?? false
  }

  /** Lines dropped so far. */
  get droppedLines(): number {
    return this.#dropped
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#gatheredBytes + this.#flightBytes + bytes > this.#settings.maxBytes) {
      this.#drop(1)
      return
    }
    this.#gathered += line
    this.#gatheredBytes += bytes
    this.#gatheredLines += 1
    this.#sendIn(maxWaitMs)
  }

  /** Writes what is there before the process ends, as far as the target takes it at once. */
  writeNow(): void {
    if (this.#inFlight || this.#gathered === '') return
    const lines = this.#gathered
    this.#clearGathered()
    this.#target.writeNow(lines)
  }

  /** Writes everything; gives up after a second. */
  async close(): Promise<void> {
    this.#send()
    if (!this.#inFlight) return
    await new Promise<void>((resolve) => {
      const cancel = this.#settings.clock.schedule(closeMs, resolve)
      this.#idle = () => {
        cancel()
        resolve()
      }
    })
  }

  #sendIn(delayMs: number): void {
    if (this.#timerSet || this.#inFlight) return
    this.#timerSet = true
    this.#settings.clock.schedule(delayMs, () => {
      this.#timerSet = false
      this.#send()
    })
  }

  #send(): void {
    if (this.#inFlight || (this.#gathered === '' && this.#untold === 0)) return
    const told = this.#untold
    const text = told === 0 ? this.#gathered : this.#gathered + this.#settings.droppedNote(told)
    this.#flightBytes = this.#gatheredBytes
    this.#flightLines = this.#gatheredLines
    this.#inFlight = true
    this.#clearGathered()
    this.#target.write(text, (error) => this.#sent(told, error))
  }

  #sent(told: number, error: Error | null | undefined): void {
    const lines = this.#flightLines
    this.#flightBytes = 0
    this.#flightLines = 0
    this.#inFlight = false
    if (error) this.#drop(lines)
    else this.#untold -= told
    if (this.#gathered !== '' || this.#untold > 0) this.#sendIn(error ? retryMs : maxWaitMs)
    if (this.#gathered === '' || error) this.#idle()
  }

  #clearGathered(): void {
    this.#gathered = ''
    this.#gatheredBytes = 0
    this.#gatheredLines = 0
  }

  #drop(lines: number): void {
    this.#dropped += lines
    this.#untold += lines
  }
}
