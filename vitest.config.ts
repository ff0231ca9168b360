import { defineConfig } from 'vitest/config'
import { SkipGuard } from './tests/skip-guard.ts'

/** A test that hangs ends after this long. Generous: machines that test are small and shared, and no test measures time. */
const patience = { testTimeout: 60_000, hookTimeout: 60_000 }

/** Unit tests stand beside their source; everything that crosses rooms lives under tests/. */
export default defineConfig({
  test: {
    reporters: ['default', new SkipGuard()],
    globalSetup: './tests/test-run.ts',
    projects: [
      { test: { ...patience, name: 'unit', include: ['src/**/*.test.ts', 'models/**/*.test.ts'] } },
      { test: { ...patience, name: 'contract', include: ['tests/contract/**/*.test.ts', 'tests/*.test.ts'] } },
      { test: { ...patience, name: 'simulation', include: ['tests/simulation/**/*.test.ts'] } },
      // Each e2e file starts real servers and engines; two cores carry one of them at a time.
      { test: { ...patience, name: 'e2e', include: ['tests/e2e/**/*.test.ts'], fileParallelism: false } },
    ],
  },
})
