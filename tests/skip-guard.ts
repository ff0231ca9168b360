import { readFileSync } from 'node:fs'
import type { Reporter, TestCase, TestModule } from 'vitest/node'

/**
 * Fails the run when a test is skipped that tests/allowed-skips.json does not name: a green run on one machine shall
 * mean a green run on the next. Prints each allowed skip with its reason, then the count of all tests in one plain line.
 */
export class SkipGuard implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const allowed = readAllowedSkips()
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const skipped = tests.filter((test) => test.result().state === 'skipped')
    for (const test of skipped) {
      const reason = allowed.get(test.fullName)
      if (reason === undefined) process.exitCode = 1
      process.stdout.write(
        `skipped: ${test.fullName} (${noteOf(test) ?? reason ?? 'NOT ALLOWED by tests/allowed-skips.json'})\n`,
      )
    }
    const count = (state: string) => tests.filter((test) => test.result().state === state).length
    process.stdout.write(`${count('passed')} passed, ${count('failed')} failed, ${skipped.length} skipped\n`)
  }
}

/** What the test itself said when it skipped, if it said anything. */
function noteOf(test: TestCase): string | undefined {
  const result = test.result()
  return result.state === 'skipped' ? result.note : undefined
}

/** Full test name → why it may be absent from a run. */
function readAllowedSkips(): ReadonlyMap<string, string> {
  const text = readFileSync(new URL('allowed-skips.json', import.meta.url), 'utf8')
  return new Map(Object.entries(JSON.parse(text) as Record<string, string>))
}
