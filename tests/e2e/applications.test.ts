import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serveNano, type ServedNano } from './served-nano.ts'

/**
 * The blocks of the documents that a reader copies, run as they stand: only the server's address is another. They lie
 * in a folder of the repository while they run, so that their imports are found.
 */
const repository = path.resolve(import.meta.dirname, '../..')
const documents = ['docs/applications.md', 'README.md']
const run = promisify(execFile)
let served: ServedNano
let folder = ''

beforeAll(async () => {
  served = await serveNano()
  folder = await mkdtemp(path.join(import.meta.dirname, 'blocks-'))
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
        const file = path.join(folder, `${path.basename(document, '.md').toLowerCase()}-${at}.ts`)
        await writeFile(file, code.replaceAll('http://127.0.0.1:8080', served.url))
        const { stdout } = await run(process.execPath, [file], { cwd: repository, timeout: 50_000 })
        expect(stdout.trim()).not.toBe('')
      })
    }
  }
})
