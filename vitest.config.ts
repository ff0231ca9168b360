import { defineConfig } from 'vitest/config'
import { SkipGuard } from './tests/skip-guard.ts'

/** Unit tests stand beside their source; everything that crosses rooms lives under tests/. */
export default defineConfig({
  test: {
    reporters: ['default', new SkipGuard()],
    projects: [
      { test: { name: 'unit', include: ['src/**/*.test.ts', 'models/**/*.test.ts'] } },
      { test: { name: 'contract', include: ['tests/contract/**/*.test.ts', 'tests/*.test.ts'] } },
      { test: { name: 'simulation', include: ['tests/simulation/**/*.test.ts'] } },
      {
        // Each file starts real servers and engines; two cores carry one of them at a time.
        test: {
          name: 'e2e',
          include: ['tests/e2e/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
