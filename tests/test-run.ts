import { guardRun } from '../scripts/run-guard.ts'

/** Runs once around all tests: what they start and write ends with the run, and a process that they left fails it. */
export default function setup(): () => Promise<void> {
  const guard = guardRun(process.env)
  return async () => {
    const left = await guard.leftBehind()
    if (left.length === 0) return
    process.exitCode = 1
    process.stderr.write(`Tests left processes behind:\n${left.join('\n')}\n`)
  }
}
