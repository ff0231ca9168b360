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
  simulation: ['core', 'inference', 'scheduler', 'planner', 'workload', 'report'],
  // The real server over simulated engines, made to fail as servers do.
  mock: ['core', 'inference', 'workload', 'simulation', 'server', 'scheduler', 'protocol', 'telemetry'],
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
    'mock',
  ],
}

/** Folders of one room that may not import each other: they are different processes or threads, and meet in what stands beside them. */
export const strangers: readonly (readonly [string, string])[] = [
  ['engine/parent', 'engine/child'],
  ['engine/parent', 'engine/preparation'],
  ['engine/parent', 'engine/grammar'],
  ['engine/child', 'engine/preparation'],
]

/** Files of a room that another room may name in an import. */
export const publicFaces: readonly string[] = ['index.ts']

/** Files of any room that `config` (and `cli`, which derives flags from them) may name. */
export const optionFaces: readonly string[] = ['options.ts']

/**
 * Files outside core/clock.ts that read the machine's time or set its timers themselves (`Date.now`, `performance.now`, `setTimeout`,
 * `AbortSignal.timeout` …), with the reason. All others take a Clock, so that they run on a virtual one too. Commands
 * (`cli/`) wait for people and may.
 */
export const timeKeepers: Readonly<Record<string, string>> = {
  // The load client measures to the microsecond with one clock that is the same in every process of the machine.
  'bench/client/worker.ts': 'reports from a thread of its own',
  'bench/client/load-client.ts': 'one timer a request, none through a closure',
  'bench/client/connections.ts': 'idle time of connections',
  'bench/client/load-runner.ts': 'sends at scheduled times',
  'bench/client/loop-watch.ts': 'measures the event loop itself',
  // To take a Clock.
  'model/hub/range-download.ts': 'stall limit of a download',
}
