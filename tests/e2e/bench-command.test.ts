import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mockOptions, startMock, toMockSettings, type MockServer } from '../../src/mock/index.ts'
import { defaultValues } from '../../src/core/index.ts'
import { launchBrowser } from './browser.ts'

/** `tokenmill bench` as a user runs it: exit codes, files, Ctrl-C, and its report in a browser. */

const repository = path.resolve(import.meta.dirname, '../..')
/** These tests share their cores with others: lag is not what they are about. */
const calm = ['--energy', 'none', '--max-send-lag', '1m', '--max-receive-lag', '1m']

let mock: MockServer
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'tokenmill-bench-'))
  const options = { port: 0, ttft: 'lognormal:20ms,0.4', itl: 'gamma:5ms,0.6', fault: ['disconnect:0.03'] }
  mock = await startMock(toMockSettings({ ...defaultValues(mockOptions), ...options }))
})
afterAll(async () => {
  await mock.close()
  rmSync(folder, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function bench(args: readonly string[], onStderr: (text: string, kill: () => void) => void = () => {}): Promise<Ended> {
  const child = spawn(process.execPath, ['src/cli/main.ts', 'bench', ...args], { cwd: repository })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()))
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString()
    onStderr(stderr, () => child.kill('SIGINT'))
  })
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

describe('tokenmill bench', () => {
  it('writes JSON with flat keys, a line per request, and a report that a browser draws offline', async () => {
    const [json, raw, html] = ['r.json', 'r.jsonl', 'r.html'].map((name) => path.join(folder, name))
    const load = [
      '--concurrency',
      '6',
      '--requests',
      '60',
      '--output',
      '12',
      '--class',
      'chat:ttft=5s,tpot=2s,share=0.5',
    ]
    const files = ['--json', json ?? '', '--raw', raw ?? '', '--html', html ?? '']
    const ended = await bench([
      mock.url,
      ...load,
      '--class',
      'batch:e2e=1m',
      '--attainment',
      '0.5',
      '--api-key',
      'k-1',
      ...files,
      ...calm,
    ])
    expect(ended.stderr).not.toMatch(/^\s+at /m)
    expect(ended.code).toBe(0)
    expect(ended.stdout).toContain('Objectives held')
    const text = readFileSync(json ?? '', 'utf8')
    const { summary, command, valid } = JSON.parse(text) as {
      summary: Record<string, number>
      command: string
      valid: boolean
    }
    const keys = [
      'ttftMsP50',
      'tpotMsP50',
      'itlMsP50',
      'outputTokPerS',
      'requestsPerS',
      'goodputRps',
      'attainment',
      'errors',
    ]
    for (const key of keys) expect({ key, value: typeof summary[key] }).toEqual({ key, value: 'number' })
    for (const key of ['ttftMsP99', 'tpotMsP99', 'itlMsP99', 'stallMsP99']) expect(summary).toHaveProperty(key)
    expect(valid).toBe(true)
    expect(command).toContain('--api-key <secret>')
    expect(text).not.toContain('k-1')
    expect(
      readFileSync(raw ?? '', 'utf8')
        .trim()
        .split('\n'),
    ).toHaveLength(60)

    const browser = await launchBrowser()
    try {
      for (const width of [400, 1440]) {
        const page = await browser.newPage({ viewport: { width, height: 900 }, reducedMotion: 'reduce' })
        const problems: string[] = []
        page.on('console', (message) => problems.push(message.text()))
        page.on('pageerror', (error) => problems.push(error.message))
        page.on('request', (request) => {
          if (!/^(file|data):/.test(request.url())) problems.push(request.url())
        })
        await page.goto(pathToFileURL(html ?? '').href)
        expect(problems).toEqual([])
        expect(await page.locator('canvas').count()).toBeGreaterThanOrEqual(7)
        expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0)
        if (process.env['REPORT_SCREENSHOTS'] !== undefined)
          await page.screenshot({
            path: path.join(process.env['REPORT_SCREENSHOTS'], `bench-${width}.png`),
            fullPage: true,
          })
        await page.close()
      }
    } finally {
      await browser.close()
    }
  })

  it('gives JSON alone on standard output for a pipe, and says missed objectives with exit code 2', async () => {
    const ended = await bench([
      mock.url,
      '--requests',
      '20',
      '--output',
      '4',
      '--slo',
      'ttft=1ms',
      '--json',
      '-',
      ...calm,
    ])
    expect(ended.code).toBe(2)
    expect((JSON.parse(ended.stdout) as { sloHeld: boolean }).sloHeld).toBe(false)
    expect(ended.stderr).toContain('Objectives missed')
  })

  it('reports what was measured when interrupted', async () => {
    let killed = false
    const args = [mock.url, '--concurrency', '4', '--duration', '60s', '--output', '8', ...calm]
    const ended = await bench(args, (stderr, kill) => {
      // The first plain line of progress comes after five seconds.
      if (killed || !stderr.includes('done')) return
      killed = true
      kill()
    })
    expect(ended.code).toBe(130)
    expect(ended.stdout).toContain('Stopped by the user')
    expect(ended.stdout).toMatch(/TTFT ms +\d/)
  })

  it('names what it cannot measure or write, without a trace', async () => {
    const nobody = await bench(['http://127.0.0.1:9/v1', '--model', 'm'])
    expect(nobody).toMatchObject({ code: 1 })
    expect(nobody.stderr).toMatch(/^tokenmill: .*connectFailed: .*Is the server running/m)
    const full = await bench([
      mock.url,
      '--requests',
      '10',
      '--output',
      '4',
      '--raw',
      '/dev/full',
      '--json',
      '/nowhere/r.json',
      ...calm,
    ])
    expect(full.code).toBe(1)
    expect(full.stdout).toContain('TTFT ms')
    expect(full.stderr).toMatch(/Cannot write \/nowhere\/r\.json/)
    expect(full.stderr).toMatch(/\/dev\/full: ENOSPC/)
    expect(nobody.stderr + full.stderr).not.toMatch(/^\s+at /m)
  })
})
