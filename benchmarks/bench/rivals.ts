import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { words } from '../../src/workload/index.ts'
import { runTimed, type Finished } from './children.ts'

const cacheFolder = path.resolve(import.meta.dirname, '../.cache/load-generators')

interface RivalResult {
  readonly cpuS: number
  readonly ttftMsP50: number
  readonly tpotMsP50: number
}

export interface RivalLoad {
  readonly url: string
  readonly users: number
  readonly requests: number
  readonly promptTokens: number
  readonly outputTokens: number
}

/** A rival in a virtual environment of its own, installed once from PyPI. Undefined where that fails, with why. */
export async function provideRival(name: string, log: (line: string) => void): Promise<string | undefined> {
  const folder = path.join(cacheFolder, name)
  const program = path.join(folder, 'bin', name)
  if (existsSync(program)) return program
  mkdirSync(cacheFolder, { recursive: true })
  log(`installing ${name} from PyPI`)
  const made = await runTimed(['python3', '-m', 'venv', folder])
  const got = made.code === 0 ? await runTimed([path.join(folder, 'bin/pip'), 'install', '-q', name]) : made
  if (existsSync(program)) return program
  log(`${name} cannot be installed: ${got.output.slice(-300)}`)
  return undefined
}

/** A word-level tokenizer of our words, so that rivals make prompts without asking a hub. */
export function writeTokenizer(): string {
  const folder = path.join(cacheFolder, 'tokenizer')
  mkdirSync(folder, { recursive: true })
  const vocabulary = Object.fromEntries(['[UNK]', ...words].map((word, index) => [word, index]))
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [
      { id: 0, content: '[UNK]', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    ],
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: null,
    decoder: null,
    model: { type: 'WordLevel', vocab: vocabulary, unk_token: '[UNK]' },
  }
  writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(tokenizer))
  const config = { tokenizer_class: 'PreTrainedTokenizerFast', unk_token: '[UNK]', model_max_length: 131_072 }
  writeFileSync(path.join(folder, 'tokenizer_config.json'), JSON.stringify(config))
  return folder
}

/** Everything they need is here: nothing is to be looked up. AIPerf takes a local tokenizer only where it thinks itself online. */
const offline = { HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1', HF_DATASETS_OFFLINE: '1' }
const quiet = { HF_HUB_DISABLE_TELEMETRY: '1', DO_NOT_TRACK: '1' }

export async function runAiperf(
  program: string,
  load: RivalLoad,
  log: (line: string) => void,
): Promise<RivalResult | undefined> {
  const out = path.join(cacheFolder, 'aiperf-out')
  rmSync(out, { recursive: true, force: true })
  const finished = await runTimed(
    [
      program,
      'profile',
      '--model',
      'mock',
      '--url',
      load.url.replace(/\/v1$/, ''),
      '--endpoint-type',
      'chat',
      '--streaming',
      '--concurrency',
      String(load.users),
      '--request-count',
      String(load.requests),
      // Prompts of their own, as ours: with fewer it repeats them.
      '--num-dataset-entries',
      String(load.requests),
      '--isl',
      String(load.promptTokens),
      '--isl-stddev',
      '0',
      '--osl',
      String(load.outputTokens),
      '--osl-stddev',
      '0',
      '--extra-inputs',
      'ignore_eos:true',
      '--tokenizer',
      writeTokenizer(),
      '--ui',
      'none',
      '--no-server-metrics',
      '--no-gpu-telemetry',
      '--artifact-dir',
      out,
      '--use-server-token-count',
    ],
    quiet,
  )
  const file = findFile(out, /profile_export_aiperf\.json$/)
  if (file === undefined) return failed('aiperf', finished, log)
  const data = JSON.parse(readFileSync(file, 'utf8')) as Record<string, { p50?: number } | undefined>
  return {
    cpuS: finished.cpuS,
    ttftMsP50: data['time_to_first_token']?.p50 ?? Number.NaN,
    tpotMsP50: data['inter_token_latency']?.p50 ?? Number.NaN,
  }
}

export async function runGuidellm(
  program: string,
  load: RivalLoad,
  log: (line: string) => void,
): Promise<RivalResult | undefined> {
  const out = path.join(cacheFolder, 'guidellm-out')
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const finished = await runTimed(
    [
      program,
      'run',
      '--backend',
      `kind=openai_http,target=${load.url.replace(/\/v1$/, '')},model=mock`,
      '--tokenizer',
      `kind=huggingface_auto,model=${writeTokenizer()}`,
      '--profile',
      `kind=concurrent,streams=${load.users}`,
      '--constraint',
      `kind=max_requests,count=${load.requests}`,
      '--data',
      `kind=synthetic_text,prompt_tokens=${load.promptTokens},output_tokens=${load.outputTokens}`,
      '--output',
      `kind=json,path=${path.join(out, 'result.json')}`,
      '--disable-console',
    ],
    { ...offline, ...quiet },
  )
  const file = findFile(out, /\.json$/)
  if (file === undefined) return failed('guidellm', finished, log)
  interface Metric {
    readonly successful?: { readonly median?: number }
  }
  const data = JSON.parse(readFileSync(file, 'utf8')) as {
    benchmarks?: readonly { metrics?: Record<string, Metric> }[]
  }
  const metrics = data.benchmarks?.[0]?.metrics ?? {}
  return {
    cpuS: finished.cpuS,
    ttftMsP50: metrics['time_to_first_token_ms']?.successful?.median ?? Number.NaN,
    // Its ITL is what is called TPOT here; its own TPOT includes the time to first token.
    tpotMsP50: metrics['inter_token_latency_ms']?.successful?.median ?? Number.NaN,
  }
}

function failed(name: string, finished: Finished, log: (line: string) => void): undefined {
  log(`${name} gave no result (exit code ${finished.code}): ${finished.output.slice(-600)}`)
  return undefined
}

function findFile(folder: string, pattern: RegExp): string | undefined {
  if (!existsSync(folder)) return undefined
  const name = readdirSync(folder, { recursive: true })
    .map(String)
    .find((each) => pattern.test(each))
  return name === undefined ? undefined : path.join(folder, name)
}

/** Version of the package, from its folder's name in the environment. */
export function rivalVersion(name: string): string {
  const lib = path.join(cacheFolder, name, 'lib')
  const found = readdirSync(lib, { recursive: true })
    .map(String)
    .find((each) => new RegExp(`/${name}-[^/]+\\.dist-info$`).test(each))
  return /-([^-]+)\.dist-info$/.exec(found ?? '')?.[1] ?? 'unknown'
}
