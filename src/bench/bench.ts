import { randomInt } from 'node:crypto'
import { parseBaseUrl } from './endpoint-url.ts'
import { findMeters } from './observe/meters.ts'
import { readEnvironment } from './observe/environment.ts'
import type { BenchOptions } from './options.ts'
import { PointRunner, type BenchContext } from './point-runner.ts'
import { findModel } from './models-list.ts'
import { probeEndpoint, type Probe } from './probe.ts'
import { defaultPatienceMs } from './readiness.ts'
import type { BenchResult } from './result.ts'
import { shownUrl } from './secrets.ts'
import { planSearch } from './search/index.ts'
import { describeLoad, seedOf } from './load-shape.ts'
import { parseClasses, toHeaders, toLoadPlan, toTarget } from './settings.ts'

const longestProbeMs = 60_000

/** Measures what the options ask for. Throws TokenmillError for bad options and endpoints that do not answer. */
export async function runBench(
  options: BenchOptions,
  urls: readonly string[],
  context: BenchContext,
): Promise<BenchResult> {
  // Everything that can be wrong with the options is found before the first request.
  const search = planSearch(options, urls)
  parseClasses(options)
  const startedAt = new Date(context.clock.wallTimeMs()).toISOString()
  const first = await probe(options, urls[0] ?? '', options.model, context)
  const second =
    urls[1] === undefined ? undefined : await probe(options, urls[1], options.modelB ?? options.model, context)
  const textSalt = options.seed === undefined ? randomInt(2 ** 32) : 0
  const meters = await findMeters(options.energy, first.target.url, context.clock)
  const runner = new PointRunner(options, context, meters, textSalt)
  const probes = second === undefined ? [first] : [first, second]
  for (const note of probes.flatMap((each) => each.notes)) runner.note(note)
  const points = await search.measure({ first, second }, runner)
  const { judged, problems = [], ...conclusion } = search.conclude(points)
  const plan = toLoadPlan(options, first.target, first.words.words, search.shape)
  return {
    tool: 'tokenmill bench',
    version: context.version,
    kind: search.kind,
    command: context.command,
    startedAt,
    seed: seedOf(options),
    textSalt,
    environment: readEnvironment(),
    target: {
      url: urls.map(shownUrl).join(' and '),
      model: probes.map((each) => each.target.model).join(' and '),
      api: options.api,
      streamed: first.target.stream,
    },
    loadText: describeLoad(plan, search.loadText),
    loop: search.loop,
    lengthsFrom: first.words.source,
    attainmentTarget: options.attainment,
    points,
    ...conclusion,
    valid: judged.length > 0 && problems.length === 0 && judged.every((run) => run.problems.length === 0),
    problems,
    notes: runner.notes,
  }
}

async function probe(
  options: BenchOptions,
  urlText: string,
  named: string | undefined,
  context: BenchContext,
): Promise<Probe> {
  const url = parseBaseUrl(urlText)
  const patience = {
    limitMs: options.readyTimeout ?? defaultPatienceMs,
    unheard: options.readyTimeout !== undefined,
    stop: context.stop,
    clock: context.clock,
    onWait: context.onNote,
  }
  const model = named ?? (await findModel(url, toHeaders(options), patience))
  return probeEndpoint({
    target: toTarget(options, url, model),
    tokenizerPath: options.tokenizer,
    timeoutMs: Math.min(options.timeout, longestProbeMs),
    maxEventBytes: options.maxEventBytes,
    maxTokensFieldIsOurs: options.maxTokensField === undefined,
    patience,
  })
}
