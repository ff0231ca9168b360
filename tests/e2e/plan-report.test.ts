import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchBrowser } from './browser.ts'

const main = path.resolve(import.meta.dirname, '../../src/cli/main.ts')
const run = (...args: readonly string[]) => promisify(execFile)(process.execPath, [main, 'plan', ...args])

describe('tokenmill plan', () => {
  let browser: Browser
  let folder: string
  beforeAll(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'tokenmill-plan-'))
    browser = await launchBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('writes a report whose plot has logarithmic axes and a line per GPU and precision, and asks nothing of the network', async () => {
    const file = path.join(folder, 'plan.html')
    const demand = ['--isl', '2000', '--osl', '500', '--slo-ttft', '1s', '--slo-tpot', '40ms', '--rate', '20']
    const gpus = ['--gpu', 'h100', '--gpu', 'b200']
    const { stdout, stderr } = await run('--model', 'llama-3.1-70b', ...gpus, ...demand, '--html', file)
    expect(stderr).toBe(`Wrote ${file}\n`)
    expect(stdout).toMatch(/^(Not safe|Safe): /m)
    expect(readFileSync(file, 'utf8')).toMatch(/<h2>Assumptions<\/h2>[\s\S]*neocloud[\s\S]*GB missing on each GPU/)
    expect(stdout).toMatch(/^Use \w+ fp\d TP\d on (h100|b200)_sxm: \d+ replicas, \d+ GPUs, [\d.]+ USD\/h/m)

    for (const setting of [
      { width: 400, colorScheme: 'light' as const },
      { width: 1440, colorScheme: 'dark' as const },
    ]) {
      const page = await browser.newPage({
        viewport: { width: setting.width, height: 900 },
        colorScheme: setting.colorScheme,
        reducedMotion: 'reduce',
      })
      const problems: string[] = []
      const requests: string[] = []
      page.on('console', (message) => problems.push(message.text()))
      page.on('pageerror', (error) => problems.push(error.message))
      page.on('request', (request) => requests.push(request.url()))
      const address = pathToFileURL(file).href
      await page.goto(address)
      expect(problems).toEqual([])
      expect(requests.filter((url) => !url.startsWith('data:'))).toEqual([address])
      // What the drawn chart itself says of its axes and legend.
      const drawn: { x: string; y: string; titles: string[]; legend: string[] } = await page.evaluate(`(() => {
        const chart = Chart.getChart('figure-0')
        return { x: chart.scales.x.type, y: chart.scales.y.type, titles: [chart.options.scales.x.title.text, chart.options.scales.y.title.text], legend: chart.legend.legendItems.map((item) => item.text) }
      })()`)
      expect([drawn.x, drawn.y]).toEqual(['logarithmic', 'logarithmic'])
      expect(drawn.titles).toEqual(['tokens/s per user', 'output tokens/s per GPU'])
      const groups = ['b200_sxm bf16', 'b200_sxm fp4', 'b200_sxm fp8', 'h100_sxm bf16', 'h100_sxm fp8']
      expect(drawn.legend).toEqual([...groups, 'recommended', 'objective: TPOT ≤ 40 ms'])
      const overflow: number = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
      expect(overflow).toBeLessThanOrEqual(0)
      if (process.env['REPORT_SCREENSHOTS'] !== undefined) {
        await page.screenshot({
          path: path.join(process.env['REPORT_SCREENSHOTS'], `plan-${setting.width}.png`),
          fullPage: true,
        })
      }
      await page.close()
    }
  })

  it('works out the textbook case by explain: 141 GB, 141 TB/s, 42 H100s', async () => {
    const { stdout } = await run('explain', '--model', 'llama-3.1-70b', '--gpu', 'h100', '--precision', 'fp16')
    expect(stdout).toContain('weight bytes: 141.1 GB in FP16')
    expect(stdout).toContain('141 GB × 1000/s = 141 TB/s; at 3.35 TB/s that is 42 H100 SXM at full bandwidth')
  })

  it('prints JSON from every command', async () => {
    const model = ['--model', 'qwen3-235b-a22b', '--gpu', 'h200', '--precision', 'fp8', '--json']
    const answers = await Promise.all([
      run(...model, '--slo-tpot', '50ms', '--rate', '5'),
      run('explain', ...model, '--tp', '8'),
      run('fit-memory', ...model, '--tp', '8'),
      run('precision', ...model, '--precision', 'fp4'),
    ])
    const [plan, explain, memory, precision] = answers.map(
      ({ stdout }) => JSON.parse(stdout) as Record<string, unknown>,
    )
    expect(plan).toMatchObject({ choices: expect.any(Array), rejected: expect.any(Array) })
    expect(explain).toMatchObject({ configuration: 'vllm fp8 TP8 on h200_sxm', tpotMs: expect.any(Number) })
    expect(memory).toMatchObject({ fits: true })
    const formats = ['fp8', 'fp4'].map((format) => ({
      format,
      accuracy: expect.any(Array),
      ttftMs: expect.any(Object),
    }))
    expect(precision).toMatchObject({ formats, sparsity24: expect.any(Array) })
  })

  it('ends with 1 and the reason where the flags contradict themselves', async () => {
    const failed = run('explain', '--model', 'llama-3.1-70b', '--ep', '8')
    await expect(failed).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('has no experts to spread') })
  })

  it('predicts a table from file to file', async () => {
    const table = 'model,gpu,engine,precision,isl,osl,concurrency,tp\ngpt-oss-120b,b200_sxm,vllm,fp4,1024,1024,16,2\n'
    const input = path.join(folder, 'rows.csv')
    const output = path.join(folder, 'out.csv')
    writeFileSync(input, table)
    const { stderr } = await run('predict', '--in', input, '--out', output)
    expect(stderr).toBe(`Wrote ${output}\n`)
    expect(readFileSync(output, 'utf8')).toMatch(
      /^model,gpu,.*,error\ngpt-oss-120b,b200_sxm,vllm,fp4,1024,1024,16,2,[\d.]+,/,
    )
  })
})
