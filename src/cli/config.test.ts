import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, describe, expect, it } from 'vitest'
import { startUpstream } from '../../tests/scripted/upstream.ts'
import { toProgram, type Io } from './command.ts'
import { config } from './config.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'tokenmill-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs `tokenmill config …`; gives what it printed, and its failure. */
async function run(words: readonly string[], env: Io['env'] = {}) {
  const output = new PassThrough()
  let text = ''
  output.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const stream = output as unknown as NodeJS.WriteStream
  const io = { stdout: stream, stderr: stream, env, stop: new AbortController().signal } as Io
  let code: number | undefined
  try {
    await toProgram(config, io, (given) => {
      code = given
    }).parseAsync(['node', 'config', ...words])
    return { text, code, failure: '' }
  } catch (error) {
    return { text, code, failure: error instanceof Error ? error.message : String(error) }
  }
}

function write(name: string, text: string): string {
  const file = path.join(folder, name)
  writeFileSync(file, text)
  return file
}

describe('config init', () => {
  it('writes a file that is sound, at the given endpoints, and leaves one that exists as it is', async () => {
    const file = path.join(folder, 'first.yaml')
    const words = ['init', '--config', file, '--endpoint', 'http://10.0.0.1:8000', '--endpoint', 'http://10.0.0.2:8000']
    expect((await run(words)).text).toContain(`Wrote ${file}`)
    expect((await run(['check', '--config', file])).text).toContain('is sound: 1 model at 2 endpoints.')
    const before = readFileSync(file, 'utf8')
    expect((await run(words)).failure).toMatch(/exists; it is left as it is/)
    expect(readFileSync(file, 'utf8')).toBe(before)
  })
})

describe('config check', () => {
  it('finds what serve would only find while it starts: model files, and a port open to all', async () => {
    const file = write(
      'parts.yaml',
      `listen: {host: 0.0.0.0}
models:
  - name: local
    endpoints:
      - {engine: embedded, model: ${write('broken.gguf', 'GGUF')}}
  - name: other
    endpoints:
      - {engine: embedded, model: /does/not/exist.gguf}
`,
    )
    const { failure } = await run(['check', '--config', file])
    expect(failure).toMatch(/3 problems/)
    expect(failure).toMatch(/:5 models\[0\]\.endpoints\[0\]\.model: .*broken\.gguf/)
    expect(failure).toMatch(/:8 models\[1\]\.endpoints\[0\]\.model: .*exist\.gguf/)
    expect(failure).toMatch(/:1 listen\.host: .*--api-key/)
    expect((await run(['check', '--config', file], { TOKENMILL_API_KEY: 'a-long-secret' })).failure).toMatch(
      /2 problems/,
    )
  })

  it('asks the endpoints with --probe, and tells what each is or why it fails', async () => {
    const upstream = await startUpstream((response) => void response.end())
    const closed = await startUpstream((response) => void response.end())
    await closed.close()
    const file = write(
      'probe.yaml',
      `models: [{name: chat, endpoints: [{url: "${upstream.url}"}, {url: "${closed.url}", engine: vllm}]}]`,
    )
    const { text, code } = await run(['check', '--probe', '--config', file])
    await upstream.close()
    expect(code).toBe(1)
    expect(text).toContain(`ok      chat  ${upstream.url}  org/real, 4096 tokens`)
    expect(text).toMatch(new RegExp(`failed  chat  ${closed.url}  .*refuses connections`))
  })
})
