import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startUpstream, type Upstream } from '../scripted/upstream.ts'
import { mainFile, until } from './start-cli.ts'

let folder: string
let upstream: Upstream
const running: ChildProcess[] = []

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-log-'))
  upstream = await startUpstream((response) => void response.end('{"object":"chat.completion","choices":[]}'))
  const config = { models: [{ name: 'chat', endpoints: [{ url: upstream.url, engine: 'vllm' }] }] }
  await writeFile(path.join(folder, 'tokenmill.yaml'), JSON.stringify(config))
})
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
})
afterAll(async () => {
  await upstream.close()
  await rm(folder, { recursive: true, force: true })
})

interface Relay {
  readonly url: string
  readonly child: ChildProcess
}

/** A relay whose log goes where the test says. It needs no engine. */
async function startRelay(stderr: 'pipe' | number, ...flags: readonly string[]): Promise<Relay> {
  const words = ['serve', '--config', path.join(folder, 'tokenmill.yaml'), '--port', '0', ...flags]
  const child = spawn(process.execPath, [mainFile, ...words], { stdio: ['ignore', 'pipe', stderr] })
  running.push(child)
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await until(() => /serves .* on (http:\/\/\S+)\/v1/.test(text))
  return { url: /on (http:\/\/\S+)\/v1/.exec(text)?.[1] ?? '', child }
}

async function send(url: string, requests: number): Promise<void> {
  const body = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hi' }] })
  for (let sent = 0; sent < requests; sent += 50) {
    const answers = Array.from({ length: 50 }, () =>
      fetch(`${url}/v1/chat/completions`, { method: 'POST', body }).then((answer) => answer.text()),
    )
    await Promise.all(answers)
  }
}

async function droppedLines(url: string): Promise<number> {
  const page = await (await fetch(`${url}/metrics`)).text()
  return Number(/^tokenmill_log_lines_dropped_total (\d+)$/m.exec(page)?.[1])
}

async function stop({ child }: Relay): Promise<number | null> {
  child.kill('SIGTERM')
  await once(child, 'exit')
  return child.exitCode
}

describe('the log of serve', () => {
  it('on a full disk: every request is answered, the lost lines are counted, and SIGTERM still ends with 0', async () => {
    const relay = await startRelay(openSync('/dev/full', 'w'))
    await send(relay.url, 50)
    await until(async () => (await droppedLines(relay.url)) >= 50)
    await send(relay.url, 50)
    expect(await stop(relay)).toBe(0)
  })

  it('to a reader that leaves: every request is answered, and the lost lines are counted', async () => {
    const relay = await startRelay('pipe')
    await send(relay.url, 50)
    relay.child.stderr?.destroy()
    await send(relay.url, 50)
    await until(async () => (await droppedLines(relay.url)) > 0)
    await send(relay.url, 50)
    expect(await stop(relay)).toBe(0)
  })

  it('to a reader that does not read: requests are answered, memory is bounded, the loss is told once it reads', async () => {
    const relay = await startRelay('pipe', '--max-log-buffer-bytes', '20000')
    // The socket between holds some hundred kilobytes before our own buffer fills.
    for (let round = 0; (await droppedLines(relay.url)) === 0; round += 1) {
      expect(round).toBeLessThan(100)
      await send(relay.url, 200)
    }
    const dropped = await droppedLines(relay.url)
    let text = ''
    relay.child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await until(() => text.includes('"log lines were dropped"'))
    const lines = text
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { msg: string; lines?: number })
    const told = lines.filter(({ msg }) => msg === 'log lines were dropped')
    expect(told.reduce((sum, { lines: lost }) => sum + (lost ?? 0), 0)).toBe(dropped)
    expect(await stop(relay)).toBe(0)
  })

  it('to a reader that never reads: SIGTERM ends the server all the same', async () => {
    const relay = await startRelay('pipe', '--max-log-buffer-bytes', '20000')
    for (let round = 0; (await droppedLines(relay.url)) === 0; round += 1) {
      expect(round).toBeLessThan(100)
      await send(relay.url, 200)
    }
    expect(await stop(relay)).toBe(0)
  })

  it('tells as JSON what became of a changed configuration, and counts it', async () => {
    const relay = await startRelay('pipe')
    const file = path.join(folder, 'tokenmill.yaml')
    const sound = await readFile(file, 'utf8')
    let text = ''
    relay.child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()))
    const lines = () =>
      text.split('\n').flatMap((line) => (line.startsWith('{"level"') ? [JSON.parse(line) as unknown] : []))
    await writeFile(file, sound.replace('"models"', '"modles"'))
    await expect.poll(lines).toContainEqual(
      expect.objectContaining({
        level: 'error',
        msg: 'configuration refused; the old one stays',
        file,
        problems: expect.arrayContaining([expect.stringMatching(/modles: .* did you mean models\?/)]) as unknown,
      }),
    )
    await writeFile(file, `${sound} `)
    await expect.poll(lines).toContainEqual(expect.objectContaining({ level: 'info', msg: 'configuration reloaded' }))
    const page = await (await fetch(`${relay.url}/metrics`)).text()
    expect(page).toContain('tokenmill_config_reloads_total{outcome="refused"} 1')
    expect(page).toContain('tokenmill_config_reloads_total{outcome="applied"} 1')
    expect(await stop(relay)).toBe(0)
  })

  it('ends with the failure that nothing handled, and the exit code is 1', async () => {
    const fault = 'data:text/javascript,process.on("SIGUSR2",()=>{throw new Error("a fault of the test")})'
    const config = path.join(folder, 'tokenmill.yaml')
    const child = spawn(process.execPath, ['--import', fault, mainFile, 'serve', '--config', config, '--port', '0'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.push(child)
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    await once(child.stdout, 'data')
    child.kill('SIGUSR2')
    await once(child, 'close')
    expect(child.exitCode).toBe(1)
    const last = errors.trim().split('\n').at(-1) ?? ''
    expect(JSON.parse(last)).toMatchObject({ level: 'fatal', err: { message: 'a fault of the test' } })
  })
})

describe('a command whose output is not taken', () => {
  it('ends quietly where its reader has seen enough', async () => {
    const child = spawn(process.execPath, [mainFile, 'config', 'schema'], { stdio: ['ignore', 'pipe', 'pipe'] })
    running.push(child)
    child.stdout.destroy()
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    await once(child, 'close')
    expect({ code: child.exitCode, errors }).toEqual({ code: 0, errors: '' })
  })

  it('fails and says why where the output cannot be written', async () => {
    const stdio = ['ignore', openSync('/dev/full', 'w'), 'pipe'] as const
    const child = spawn(process.execPath, [mainFile, 'config', 'schema'], { stdio: [...stdio] })
    running.push(child)
    let errors = ''
    child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    await once(child, 'close')
    expect(child.exitCode).toBe(1)
    expect(errors).toContain('The output cannot be written: ENOSPC')
  })

  it('gives its result though its diagnostics go nowhere', async () => {
    const stdio = ['ignore', 'pipe', openSync('/dev/full', 'w')] as const
    const child = spawn(process.execPath, [mainFile, 'keys', 'create'], { stdio: [...stdio] })
    running.push(child)
    let output = ''
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await once(child, 'close')
    expect(child.exitCode).toBe(0)
    expect(output).toContain('tmk1$')
  })
})
