import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Clock } from '../../core/index.ts'
import { fetchText } from '../fetch-text.ts'
import { parsePrometheus } from './server-metrics.ts'

const run = promisify(execFile)

/** A reading of all meters of one kind. */
export interface EnergyReading {
  /** Cumulative joules, of meters that count energy. */
  readonly joules?: number
  /** Power now, of meters that only know that: to be integrated over time. */
  readonly watts?: number
}

export interface EnergyMeter {
  /** What measures, as the report names it. */
  readonly name: string
  /** Counted by the hardware, integrated from its power, or stated by the user. */
  readonly basis: 'counter' | 'power' | 'stated'
  read(): Promise<EnergyReading>
}

/** GPUs by nvidia-smi (NVML). Undefined where there is no such tool or no GPU. */
export async function nvidiaMeter(): Promise<EnergyMeter | undefined> {
  const query = async (): Promise<EnergyReading> => {
    const { stdout } = await run('nvidia-smi', ['--query-gpu=power.draw', '--format=csv,noheader,nounits'], {
      timeout: 5_000,
    })
    const watts = stdout.trim().split('\n').map(Number)
    if (watts.some((value) => Number.isNaN(value)))
      throw new Error(`nvidia-smi answered '${stdout.trim().slice(0, 60)}'`)
    return { watts: watts.reduce((sum, value) => sum + value, 0) }
  }
  return probeMeter({ name: 'NVML power by nvidia-smi', basis: 'power', read: query })
}

/** GPUs by a DCGM exporter: DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION, millijoules since the driver started. */
export function dcgmMeter(url: string, clock: Clock): EnergyMeter {
  return {
    name: `DCGM energy counter at ${url}`,
    basis: 'counter',
    read: async () => {
      const { text } = await fetchText(url, { limitMs: 5_000, clock })
      const millijoules = parsePrometheus(text).get('DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION')
      if (millijoules === undefined) throw new Error(`${url} has no DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION`)
      return { joules: millijoules / 1000 }
    },
  }
}

const raplFolder = '/sys/class/powercap'

/** CPU packages by RAPL's counters, which wrap at max_energy_range_uj. Undefined where they cannot be read. */
export async function raplMeter(folder = raplFolder): Promise<EnergyMeter | undefined> {
  const found = await readdir(folder).catch(() => [])
  const packages = found.filter((name) => /^(intel|amd)-rapl:\d+$/.test(name))
  if (packages.length === 0) return undefined
  const last = new Map<string, number>()
  let joules = 0
  const read = async (): Promise<EnergyReading> => {
    for (const name of packages) {
      const now = Number(await readFile(`${folder}/${name}/energy_uj`, 'utf8'))
      const before = last.get(name)
      last.set(name, now)
      if (before === undefined) continue
      const range = Number(await readFile(`${folder}/${name}/max_energy_range_uj`, 'utf8'))
      joules += (now >= before ? now - before : now + range - before) / 1e6
    }
    return { joules }
  }
  return probeMeter({ name: 'RAPL package counters (CPU)', basis: 'counter', read })
}

/** A constant power that the user states, in watts. */
export function statedMeter(watts: number): EnergyMeter {
  return { name: `${watts} W as stated`, basis: 'stated', read: () => Promise.resolve({ watts }) }
}

async function probeMeter(meter: EnergyMeter): Promise<EnergyMeter | undefined> {
  try {
    await meter.read()
    return meter
  } catch {
    return undefined
  }
}

/** Longest gap between power readings over which they are integrated; a longer one makes the energy unknown. */
const longestGapMs = 3_000
const readPeriodMs = 1_000

/**
 * Energy of all meters along a run: differences of counters where there are counters, else power by the
 * trapezoid rule. `joulesBetween` interpolates; it is undefined where a reading failed or was late: unknown is
 * never 0.
 */
export class EnergyWatch {
  readonly #meter: EnergyMeter
  readonly #nowMs: () => number
  readonly #points: { atMs: number; joules: number }[] = []
  #lastWatts: number | undefined
  #firstJoules: number | undefined
  #broken: string | undefined
  readonly #clock: Clock
  #cancelNext: () => void = () => {}
  #stopped = false

  /** `nowMs` counts from the start of the run. */
  constructor(meter: EnergyMeter, nowMs: () => number, clock: Clock) {
    this.#meter = meter
    this.#nowMs = nowMs
    this.#clock = clock
  }

  get name(): string {
    return this.#meter.name
  }

  get basis(): EnergyMeter['basis'] {
    return this.#meter.basis
  }

  get problem(): string | undefined {
    return this.#broken
  }

  start(): void {
    const tick = async (): Promise<void> => {
      await this.#read()
      if (!this.#stopped) this.#cancelNext = this.#clock.schedule(readPeriodMs, () => void tick())
    }
    void tick()
  }

  /** Takes the last reading. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelNext()
    await this.#read()
  }

  joulesBetween(fromMs: number, toMs: number): number | undefined {
    const [from, to] = [this.#joulesAt(fromMs), this.#joulesAt(toMs)]
    return this.#broken !== undefined || from === undefined || to === undefined ? undefined : to - from
  }

  async #read(): Promise<void> {
    try {
      const { joules, watts } = await this.#meter.read()
      const atMs = this.#nowMs()
      const last = this.#points.at(-1)
      if (joules !== undefined) {
        this.#firstJoules ??= joules
        this.#points.push({ atMs, joules: joules - this.#firstJoules })
      } else if (watts !== undefined) {
        if (last !== undefined && atMs - last.atMs > longestGapMs) this.#broken ??= 'readings more than 3 s apart'
        const spent = last === undefined ? 0 : (((this.#lastWatts ?? watts) + watts) / 2) * ((atMs - last.atMs) / 1000)
        this.#lastWatts = watts
        this.#points.push({ atMs, joules: (last?.joules ?? 0) + spent })
      }
      this.#thin()
    } catch (error) {
      this.#broken ??= error instanceof Error ? error.message : String(error)
    }
  }

  #joulesAt(atMs: number): number | undefined {
    const after = this.#points.findIndex((point) => point.atMs >= atMs)
    const right = this.#points[after]
    const left = this.#points[after - 1]
    if (right === undefined) return undefined
    if (left === undefined) return right.atMs - atMs < readPeriodMs ? right.joules : undefined
    return left.joules + ((right.joules - left.joules) * (atMs - left.atMs)) / (right.atMs - left.atMs)
  }

  /** Cumulative points: dropping every second one loses resolution only. */
  #thin(): void {
    if (this.#points.length <= 2000) return
    const kept = this.#points.filter((_, index) => index % 2 === 0 || index === this.#points.length - 1)
    this.#points.splice(0, this.#points.length, ...kept)
  }
}
