import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { serveNano } from './served-nano.ts'
import { writeRandomAdapter } from '../support/random-adapter.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const repository = path.resolve(import.meta.dirname, '../..')
let cache = ''
beforeAll(async () => {
  cache = await mkdtemp(path.join(tmpdir(), 'tokenmill-terminal-'))
})
afterAll(async () => {
  await rm(cache, { recursive: true, force: true })
})

/** The command as a user runs it, with the text piped in. */
async function tokenmill(flags: readonly string[], piped = '') {
  const child = spawn(process.execPath, ['src/cli/main.ts', ...flags], {
    cwd: repository,
    env: { ...process.env, TOKENMILL_CACHE: cache, HF_HUB_OFFLINE: '1' },
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()))
  child.stdin.end(piped)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...output }
}

describe('tokenmill run', () => {
  it('answers the argument and what is piped in, in words or as JSON with times', async () => {
    const plain = await tokenmill(['run', 'Hello!', '--temperature', '0', '--max-tokens', '30'])
    expect(plain).toMatchObject({ code: 0, stderr: '' })
    expect(plain.stdout.trim()).not.toBe('')
    const json = await tokenmill(['run', '--json', '--temperature', '0', '--max-tokens', '30'], 'Hello!')
    const answer = JSON.parse(json.stdout) as Record<string, unknown>
    expect(answer).toMatchObject({ model: 'nano', promptTokens: expect.any(Number), ttftMs: expect.any(Number) })
    expect(answer['text']).toBe(plain.stdout.trimEnd())
  })

  it('answers with a LoRA adapter, by as much as its scale says', async () => {
    const file = path.join(cache, 'odd.gguf')
    const basePath = path.join(repository, 'models/nano/nano.gguf')
    await writeRandomAdapter(file, { basePath, weights: /attn_q|ffn_down/, rank: 4, alpha: 4, seed: 1, strength: 1 })
    const ask = async (...flags: string[]) => {
      const { stdout } = await tokenmill(['run', 'What is 12 + 30?', '--temperature', '0', '--json', ...flags])
      return JSON.parse(stdout) as { model: string; text: string }
    }
    const unchanged = await ask('--lora', `${file}:0`, '--model', 'nano')
    expect(unchanged).toMatchObject({ model: 'nano with odd', text: '12 + 30 = 42.' })
    expect((await ask('--lora', file, '--max-tokens', '20')).text).not.toBe(unchanged.text)
    const wrong = await tokenmill(['run', 'hi', '--lora', basePath])
    expect(wrong).toMatchObject({ code: 78, stderr: expect.stringContaining('is no LoRA adapter') as string })
  })

  it('asks a running server at --url, by the name that it lists, and says where none answers', async () => {
    const served = await serveNano()
    try {
      const asked = await tokenmill(
        ['run', '--url', `${served.url}/v1`, '--temperature', '0', '--json'],
        'What is 12 + 30?',
      )
      expect(JSON.parse(asked.stdout)).toMatchObject({ model: 'nano', text: '12 + 30 = 42.' })
    } finally {
      await served.stop()
    }
    const nobody = await tokenmill(['run', 'hi', '--url', served.url])
    expect(nobody).toMatchObject({ code: 1, stdout: '' })
    expect(nobody.stderr).toContain(`${served.url} refuses connections`)
  })

  it('says what is missing without a prompt', async () => {
    const result = await tokenmill(['run'])
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/There is no prompt/)
  })
})

describe('tokenmill --version', () => {
  it('says what the command of that name says', async () => {
    const [flag, command] = await Promise.all([tokenmill(['--version']), tokenmill(['version'])])
    expect(flag.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(flag).toEqual(command)
  })
})

describe('tokenmill chat', () => {
  it('answers line after line, and lines that go on', async () => {
    const { code, stdout } = await tokenmill(
      ['chat', '--temperature', '0', '--max-tokens', '20'],
      'Hello!\nHow \\\nare you?\n/clear\n/exit\n',
    )
    expect(code).toBe(0)
    expect(stdout.trim().split('\n').length).toBeGreaterThanOrEqual(2)
  })
})

describe('tokenmill chat and a command that is none', () => {
  it('refuses it by name, and asks the model nothing', async () => {
    const { code, stdout, stderr } = await tokenmill(['chat', '--temperature', '0'], '/forget all\n/exit\n')
    expect(stdout).toBe('')
    expect(stderr).toBe('There is no command /forget: /help shows those that are.\n')
    expect(code).toBe(1)
  })
})

describe('tokenmill chat that has become too long', () => {
  it('says so and goes on', async () => {
    const lines = ['What is 2 + 2?', 'word '.repeat(2500), 'What is 3 + 3?', '/exit', '']
    const { code, stdout, stderr } = await tokenmill(['chat', '--temperature', '0'], lines.join('\n'))
    expect(stdout).toBe('2 + 2 = 4.\n3 + 3 = 6.\n')
    expect(stderr).toMatch(/^The conversation is \d+ tokens with this question; the context is 2048\. \/clear/)
    expect(code).toBe(1)
  })
})

describe('tokenmill doctor', () => {
  it('finds the engine and proves it on the model in the box', async () => {
    const { code, stdout } = await tokenmill(['doctor', '--json'])
    const findings = JSON.parse(stdout) as { name: string; good: boolean; text: string }[]
    expect(findings.find(({ name }) => name === 'libllama')).toMatchObject({ good: true })
    expect(findings.find(({ name }) => name === 'model')?.text).toMatch(/tokens\/s/)
    expect(code).toBe(findings.every(({ good }) => good) ? 0 : 1)
  })
})

describe('tokenmill models', () => {
  it('shows shape, precision, template and memory of a file', async () => {
    const { code, stdout } = await tokenmill([
      'models',
      'inspect',
      'models/nano/nano.gguf',
      '--ctx',
      '1024',
      '--slots',
      '2',
    ])
    expect(code).toBe(0)
    expect(stdout).toMatch(/architecture +llama/)
    expect(stdout).toMatch(/precision +Q8_0/)
    expect(stdout).toMatch(/tool calls as hermes/)
    expect(stdout).toMatch(/runnable\n +--kv-type f16 +needs .* KV cache/)
  })

  it('lists nothing in an empty store, and fetches nothing when offline', async () => {
    expect((await tokenmill(['models', 'list'])).stdout).toMatch(/No models yet/)
    const refused = await tokenmill(['models', 'pull', 'hf:owner/repository'])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/offline/)
  })
})
