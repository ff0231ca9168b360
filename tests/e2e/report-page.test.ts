import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { renderReport, type Report } from '../../src/report/index.ts'
import { launchBrowser } from './browser.ts'

const values = Array.from({ length: 500 }, (_, index) => 20 + 15 * Math.sin(index) ** 2 + (index % 7))

/** One section of each kind. */
const report: Report = {
  title: 'Every kind of section',
  summary: 'The recommendation comes first.',
  command: 'tokenmill bench run --url http://127.0.0.1:8080 --concurrency 1,2,4,8,16,32,64 --html report.html',
  environment: { GPU: '8 × H100 SXM 80 GB', engine: 'vllm 0.19.0', date: '2026-11-21' },
  sections: [
    { kind: 'facts', facts: [{ label: 'Goodput', value: '12.4 requests/s', note: 'TTFT ≤ 500 ms' }] },
    {
      kind: 'lines',
      title: 'Pareto',
      description: 'Throughput against speed; up and right is better.',
      x: { label: 'tokens/s per user', scale: 'log' },
      y: { label: 'tokens/s per GPU', scale: 'log' },
      marks: [{ x: 30, label: 'TPOT ≤ 33 ms' }],
      shades: [{ from: 1, to: 10, label: 'too slow' }],
      series: ['fp8', 'fp4', 'bf16'].map((name, index) => ({
        name,
        dashed: index === 2,
        points: [1, 2, 4, 8, 16, 32, 64].map((batch) => {
          const x = 150 / (1 + batch / 20) / (1 + index / 3)
          return { x, y: x * batch, low: x * batch * 0.8, high: x * batch * 1.2, label: `batch ${batch}` }
        }),
      })),
    },
    { kind: 'histogram', title: 'TPOT', description: 'All requests.', x: { label: 'TPOT', unit: 'ms' }, values },
    {
      kind: 'cdf',
      title: 'TPOT, cumulated',
      description: 'Share of requests at or below.',
      x: { label: 'TPOT', unit: 'ms' },
      series: [
        { name: 'ours', values },
        { name: 'theirs', values: values.map((value) => value * 1.2) },
      ],
    },
    {
      kind: 'bars',
      title: 'Where a step goes',
      description: 'One decode step.',
      categories: ['weights', 'KV', 'communication', 'fixed'],
      y: { label: 'time', unit: 'ms' },
      series: [{ name: 'step', values: [6.1, 2.2, 1.4, 2.9] }],
      horizontal: true,
    },
    {
      kind: 'table',
      title: 'Configurations',
      columns: [{ label: 'configuration' }, { label: 'TTFT', unit: 'ms' }, { label: 'cost', unit: '$/Mtok' }],
      rows: Array.from({ length: 12 }, (_, index) => [`vllm fp8 TP${index + 1}`, 100 + index, 0.5 / (index + 1)]),
      highlighted: [0],
    },
    { kind: 'prose', title: 'Method', paragraphs: ['Closed loop; see `tokenmill bench --help`.'] },
  ],
}

describe('a report page in the browser', () => {
  let browser: Browser
  let folder: string
  beforeAll(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'tokenmill-report-'))
    writeFileSync(path.join(folder, 'report.html'), renderReport(report))
    browser = await launchBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it.each([
    { width: 400, scheme: 'light' as const },
    { width: 1440, scheme: 'dark' as const },
  ])('draws every plot at $width px ($scheme) without an error, a request or a sideways scroll', async (setting) => {
    const page = await browser.newPage({
      viewport: { width: setting.width, height: 900 },
      colorScheme: setting.scheme,
      reducedMotion: 'reduce',
    })
    const problems: string[] = []
    const requests: string[] = []
    page.on('console', (message) => problems.push(message.text()))
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('request', (request) => requests.push(request.url()))
    const address = pathToFileURL(path.join(folder, 'report.html')).href
    await page.goto(address)

    expect(problems).toEqual([])
    expect(requests.filter((url) => !url.startsWith('data:'))).toEqual([address])
    expect(await page.locator('canvas').count()).toBe(4)
    for (let index = 0; index < 4; index += 1) expect(await inkedShare(page, index)).toBeGreaterThan(0.005)
    const overflow: number = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
    expect(overflow).toBeLessThanOrEqual(0)
    // On a narrow page rows are cards with the columns' names: no table is scrolled sideways.
    const table: number = await page.evaluate(
      `Math.max(...[...document.querySelectorAll('section > .scroll')].map((each) => each.scrollWidth - each.clientWidth))`,
    )
    expect(table).toBeLessThanOrEqual(0)
    if (process.env['REPORT_SCREENSHOTS'] !== undefined) {
      const name = `report-${setting.width}-${setting.scheme}.png`
      await page.screenshot({ path: path.join(process.env['REPORT_SCREENSHOTS'], name), fullPage: true })
    }
    await page.close()
  })
})

/** Share of a canvas's pixels that anything was drawn on. */
function inkedShare(page: Page, index: number): Promise<number> {
  return page.evaluate(`(() => {
    const canvas = document.getElementById('figure-${index}')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    let inked = 0
    for (let at = 3; at < data.length; at += 4) if (data[at] > 0) inked += 1
    return inked / (data.length / 4)
  })()`)
}
