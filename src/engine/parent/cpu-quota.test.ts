import { describe, expect, it } from 'vitest'
import { readCpuQuota } from './cpu-quota.ts'

function reader(files: Readonly<Record<string, string>>) {
  return (file: string) => files[file]
}

describe('readCpuQuota()', () => {
  it('takes the smallest quota from the group up to the root, of the second version', () => {
    const read = reader({
      '/proc/self/cgroup': '0::/kube/pod/container',
      '/sys/fs/cgroup/kube/pod/container/cpu.max': 'max 100000',
      '/sys/fs/cgroup/kube/pod/cpu.max': '250000 100000',
      '/sys/fs/cgroup/kube/cpu.max': '800000 100000',
    })
    expect(readCpuQuota(read, 16)).toBe(2)
  })

  it('reads the first version, where −1 is no quota', () => {
    const files = {
      '/proc/self/cgroup': '5:memory:/a\n3:cpu,cpuacct:/a',
      '/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us': '-1',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '300000',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
    }
    expect(readCpuQuota(reader(files), 16)).toBe(3)
  })

  it('is at least one core, and all of them where nothing limits them', () => {
    const half = { '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/cpu.max': '50000 100000' }
    expect(readCpuQuota(reader(half), 16)).toBe(1)
    expect(readCpuQuota(reader({}), 16)).toBe(16)
  })
})
