import os from 'node:os'

/** What a reader must know of the client's machine to judge the figures. */
export interface Environment {
  readonly node: string
  readonly platform: string
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly loadAverage: number
}

export function readEnvironment(): Environment {
  return {
    node: process.version,
    platform: `${os.type()} ${os.release()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    loadAverage: Number((os.loadavg()[0] ?? 0).toFixed(2)),
  }
}
