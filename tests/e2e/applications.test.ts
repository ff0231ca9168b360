import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serveNano, type ServedNano } from './served-nano.ts'

/**
 * The blocks of the documents that a reader copies, run as they stand: only the server's address is another. Each runs in a fresh
 * folder such as `npm init -y` makes, with the repository's packages in place of an installation.
 */
const repository = path.resolve(import.meta.dirname, '../..')
const documents = ['docs/applications.md', 'README.md']
const run = promisify(execFile)

/** What a block prints, by its document and the number of the block: the answers of the model in the box at temperature 0. */
const expected: Readonly<Record<string, readonly RegExp[]>> = {
  'README.md 1': [/time to first token/i, /inhabitants: \d/, /^The weather in Paris: 21 degrees, sunny\.$/m],
  'README.md 2': [
    /Goodput is/,
    /time per output token/i,
    /inhabitants: \d/,
    /^The weather in Paris: 21 degrees, sunny\.$/m,
  ],
  'docs/applications.md 3': [/^get_weather\(\{"city": ?"Paris"\}\)$/m, /^The weather in Paris: 21 degrees, sunny\.$/m],
  'docs/applications.md 7': [/^get_weather \{ city: 'Paris' \}$/m, /^The weather in Paris: 21 degrees, sunny\.$/m],
}
let served: ServedNano
let folder = ''

beforeAll(async () => {
  served = await serveNano()
  folder = await mkdtemp(path.join(os.tmpdir(), 'blocks-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await served.stop()
})

interface Block {
  readonly title: string
  readonly code: string
}

async function blocksOf(document: string): Promise<readonly Block[]> {
  const text = await readFile(path.join(repository, document), 'utf8')
  let title = document
  const blocks: Block[] = []
  for (const match of text.matchAll(/^(#+ .+)$|^```ts\n([\s\S]*?)^```$/gm)) {
    if (match[1] !== undefined) title = match[1].replace(/^#+ /, '')
    else if (match[2]?.includes('http://127.0.0.1:8080') === true) blocks.push({ title, code: match[2] })
  }
  return blocks
}

/** As `npm init -y` leaves it, CommonJS included. */
async function freshFolder(name: string): Promise<string> {
  const fresh = path.join(folder, name)
  await mkdir(fresh)
  await writeFile(path.join(fresh, 'package.json'), '{ "name": "app", "version": "1.0.0", "type": "commonjs" }')
  await symlink(path.join(repository, 'node_modules'), path.join(fresh, 'node_modules'))
  return fresh
}

const found = await Promise.all(documents.map(async (document) => ({ document, blocks: await blocksOf(document) })))

describe('copyable blocks', () => {
  it('are there', () => {
    const count = (name: string) => found.find(({ document }) => document === name)?.blocks.length
    expect(count('docs/applications.md')).toBeGreaterThanOrEqual(8)
    expect(count('README.md')).toBeGreaterThanOrEqual(2)
  })

  for (const { document, blocks } of found) {
    for (const [at, { title, code }] of blocks.entries()) {
      it(`${document}, block ${at + 1}: ${title}`, async () => {
        const fresh = await freshFolder(`${path.basename(document, '.md').toLowerCase()}-${at}`)
        await writeFile(path.join(fresh, 'app.mts'), code.replaceAll('http://127.0.0.1:8080', served.url))
        const { stdout } = await run(process.execPath, ['app.mts'], { cwd: fresh, timeout: 50_000 })
        expect(stdout.trim()).not.toBe('')
        for (const text of expected[`${document} ${at + 1}`] ?? []) expect(stdout).toMatch(text)
      })
    }
  }
})
