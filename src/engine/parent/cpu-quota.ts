import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'

/**
 * Cores that this process may use: what the scheduler gives it, less where a cgroup's quota is smaller. Whole cores,
 * at least one. A thread beyond the quota only waits while others spin for it.
 */
export function readCpuQuota(
  read: (file: string) => string | undefined = readFile,
  parallelism = availableParallelism(),
): number {
  const groups = read('/proc/self/cgroup') ?? ''
  const quotas = groups
    .split('\n')
    .flatMap((line) => quotasOfGroup(line, read))
    .filter((quota) => Number.isFinite(quota) && quota > 0)
  return Math.max(1, Math.floor(Math.min(parallelism, ...quotas)))
}

/** Quotas in cores along one line of /proc/self/cgroup, from the group up to the root: each binds. */
function quotasOfGroup(line: string, read: (file: string) => string | undefined): number[] {
  const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
  if (controllers === undefined || group === undefined) return []
  const unified = controllers === ''
  if (!unified && !controllers.split(',').includes('cpu')) return []
  const root = unified ? '/sys/fs/cgroup' : '/sys/fs/cgroup/cpu'
  return ancestors(group).map((folder) => {
    const at = (file: string) => read(path.posix.join(root, folder, file))
    if (unified) {
      const [quota, period] = (at('cpu.max') ?? 'max 1').split(' ')
      return quota === 'max' ? Infinity : Number(quota) / Number(period)
    }
    const quotaUs = Number(at('cpu.cfs_quota_us') ?? -1)
    return quotaUs > 0 ? quotaUs / Number(at('cpu.cfs_period_us') ?? 100_000) : Infinity
  })
}

function ancestors(group: string): string[] {
  const folders = [group]
  for (let folder = group; folder !== '/'; folder = path.posix.dirname(folder)) folders.push(path.posix.dirname(folder))
  return folders
}

function readFile(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}
