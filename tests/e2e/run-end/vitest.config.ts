import { defineConfig } from 'vitest/config'

/** Runs one test that leaves a process and a folder behind, as run-end.test.ts asks by MANNER. */
export default defineConfig({
  test: { globalSetup: '../../test-run.ts', include: ['leaving.ts'], root: import.meta.dirname },
})
