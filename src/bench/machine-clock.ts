import { systemClock, type Clock } from '../core/index.ts'

/**
 * A clock whose `now()` counts milliseconds of CLOCK_MONOTONIC, the same origin in every process and thread of
 * this machine, so that times recorded by the mock server and by the load client can be compared. Costs one
 * performance.now() a call: the difference between the two origins is taken once, here. Unlike the system clock's, its
 * timers keep the process alive: between two tries of a server that loads, a bench has nothing else.
 */
export function createMachineClock(): Clock {
  const before = performance.now()
  const machineMs = Number(process.hrtime.bigint()) / 1e6
  const originMs = machineMs - (before + performance.now()) / 2
  return {
    ...systemClock,
    now: () => originMs + performance.now(),
    schedule(delayMs, callback) {
      const timer = setTimeout(callback, delayMs)
      return () => clearTimeout(timer)
    },
  }
}
