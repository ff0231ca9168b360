/**
 * The rooms of the house and who may enter where. One table, read by the linter (oxlint.config.ts) and by the
 * test that walks every import (tests/house.test.ts).
 *
 * A room is entered through its `index.ts`, its public face. `config` alone is different: it reads the rooms'
 * `options.ts` files, which import core and nothing else.
 */
export const rooms: Readonly<Record<string, readonly string[]>> = {
  core: [],
  inference: ['core'],
  telemetry: ['core', 'inference'],
  model: ['core', 'inference'],
  workload: ['core'],
  report: ['core'],
  protocol: ['core', 'inference'],
  engine: ['core', 'inference', 'model', 'telemetry'],
  upstream: ['core', 'inference', 'protocol', 'model', 'telemetry'],
  scheduler: ['core', 'inference', 'telemetry'],
  ledger: ['core', 'inference', 'telemetry'],
  planner: ['core', 'inference', 'model', 'report'],
  simulation: ['core', 'inference', 'scheduler', 'planner', 'workload'],
  bench: ['core', 'inference', 'protocol', 'model', 'workload', 'report', 'telemetry'],
  config: ['core'],
  server: [
    'core',
    'inference',
    'telemetry',
    'protocol',
    'model',
    'config',
    'scheduler',
    'engine',
    'upstream',
    'ledger',
    'planner',
  ],
  cli: [
    'core',
    'inference',
    'telemetry',
    'protocol',
    'model',
    'config',
    'scheduler',
    'engine',
    'upstream',
    'ledger',
    'planner',
    'workload',
    'report',
    'bench',
    'simulation',
    'server',
  ],
}

/** Files of a room that another room may name in an import. */
export const publicFaces: readonly string[] = ['index.ts']

/** Files of any room that `config` (and `cli`, which derives flags from them) may name. */
export const optionFaces: readonly string[] = ['options.ts']
