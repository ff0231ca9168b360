import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { cpuSeconds } from '../measure/child.ts'
import { startProgram } from './harness.ts'

const engines = path.join(import.meta.dirname, 'engines.ts')
const cli = path.join(import.meta.dirname, '../../src/cli/main.ts')

/**
 * Percent of a core that an idle gateway spends on watching its endpoints. The same with one endpoint is what the
 * process costs anyway; the difference is the feed's.
 */
async function watchingPercent(folder: string, count: number, pages: 'named' | 'whole', seconds: number) {
  const child = await startEngines(count, pages)
  const config = path.join(folder, `feed-${count}-${pages}.yaml`)
  const endpoints = child.urls.map((url) => `{url: "${url}", engine: vllm}`).join(', ')
  writeFileSync(config, `models: [{name: chat, endpoints: [${endpoints}]}]\n`)
  const gateway = await startProgram('tokenmill', [cli, 'serve', '--config', config, '--port', '0'])
  // Every endpoint is known and its connection open.
  await pause(10_000)
  const before = cpuSeconds(gateway.child.pid)
  await pause(seconds * 1000)
  const percent = ((cpuSeconds(gateway.child.pid) - before) / seconds) * 100
  await gateway.child.stop()
  await child.stop()
  return percent
}

async function startEngines(count: number, pages: string) {
  const { child } = await startProgram('engines', [engines, String(count), pages])
  for (;;) {
    const urls = child.output.match(/http:\/\/127\.0\.0\.1:\d+/g) ?? []
    if (urls.length === count) return { urls, stop: () => child.stop() }
    await pause(50)
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Prints a row for each make of metrics page. */
export async function measureLoadFeed(folder: string, seconds: number): Promise<void> {
  console.log('| watching 100 endpoints, % of a core | one endpoint | 100 endpoints | the feed |\n|---|---|---|---|')
  for (const pages of ['named', 'whole'] as const) {
    const one = await watchingPercent(folder, 1, pages, seconds)
    const many = await watchingPercent(folder, 100, pages, seconds)
    const name = pages === 'named' ? 'pages of the named metrics' : 'whole pages of 100 kB'
    console.log(`| ${name} | ${one.toFixed(2)} | ${many.toFixed(2)} | ${(many - one).toFixed(2)} |`)
  }
}
