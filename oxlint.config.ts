import { defineConfig, type OxlintOverride } from 'oxlint'
import { rooms } from './house.config.ts'

/**
 * For each room, forbids every other room that its row in house.config.ts does not name. `config` has a finer
 * rule (options files only), which tests/house.test.ts holds.
 */
const roomOverrides = Object.entries(rooms)
  .filter(([room]) => room !== 'config')
  .map(([room, mayImport]): OxlintOverride => {
    const forbidden = Object.keys(rooms).filter((other) => other !== room && !mayImport.includes(other))
    if (forbidden.length === 0) return { files: [`src/${room}/**/*.ts`] }
    return {
      files: [`src/${room}/**/*.ts`],
      rules: {
        'no-restricted-imports': [
          'error',
          {
            patterns: forbidden.map((other) => ({
              group: [`../${other}/*`, `../../${other}/*`],
              message: `${room}/ may not import ${other}/: see house.config.ts.`,
            })),
          },
        ],
      },
    }
  })

export default defineConfig({
  plugins: ['typescript', 'import', 'promise', 'unicorn', 'oxc', 'node'],
  categories: { correctness: 'error', suspicious: 'error', perf: 'error' },
  rules: {
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/no-explicit-any': 'error',
    'typescript/consistent-type-imports': 'error',
    'typescript/only-throw-error': 'error',
    'import/no-cycle': 'error',
    'node/no-process-env': 'error',
    'no-console': 'error',
    eqeqeq: 'error',
    // The loops of this project await in order on purpose: steps, retries, pages of a stream.
    'no-await-in-loop': 'off',
    // What a loop waits for is often changed by a callback, which the rule does not see.
    'no-unmodified-loop-condition': 'off',
    // tsc's noImplicitReturns knows exhaustive switches; this rule does not.
    'typescript/consistent-return': 'off',
    'no-shadow': 'off',
    'no-underscore-dangle': 'off',
    'unicorn/no-array-sort': 'off',
    'unicorn/no-array-reverse': 'off',
    'unicorn/prefer-add-event-listener': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'typescript/no-unsafe-type-assertion': 'off',
    'promise/always-return': 'off',
    'import/no-unassigned-import': 'off',
    'import/no-named-as-default-member': 'off',
    'import/no-named-as-default': 'off',
  },
  overrides: [
    ...roomOverrides,
    // Where the process meets its environment: flags and variables are read here and travel on as options.
    {
      files: ['src/cli/**', 'bin/**', 'src/config/**', 'tests/**', '**/*.test.ts', 'benchmarks/**', 'models/**'],
      rules: { 'node/no-process-env': 'off' },
    },
    {
      files: ['src/cli/**', 'bin/**', 'benchmarks/**', 'models/**', 'scripts/**', 'tests/**'],
      rules: { 'no-console': 'off' },
    },
  ],
  ignorePatterns: ['dist', 'node_modules', 'benchmarks/node_modules'],
})
