import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The package as `npm pack` makes it, in an empty folder. */

const run = promisify(execFile)
const repository = path.resolve(import.meta.dirname, '../..')
let folder: string
let bin: string

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'tokenmill-package-'))
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: repository })
  const installed = path.join(folder, 'node_modules', 'tokenmill')
  await mkdir(installed, { recursive: true })
  const [tarball = ''] = (await run('sh', ['-c', 'echo *.tgz'], { cwd: folder })).stdout.trim().split(' ')
  await run('tar', ['-xzf', path.join(folder, tarball), '-C', installed, '--strip-components=1'])
  // What `npm install` would fetch.
  await symlink(path.join(repository, 'node_modules'), path.join(installed, 'node_modules'))
  bin = path.join(installed, 'bin', 'tokenmill.cjs')
}, 120_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('the package', () => {
  it('runs from an empty folder', async () => {
    const { stdout } = await run(process.execPath, [bin, '--version'], { cwd: folder })
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/)
    const help = await run(process.execPath, [bin, 'bench', '--help'], { cwd: folder })
    expect(help.stdout).toContain('--max-tokens-field')
  })

  it('answers with the model in the box', async () => {
    const answer = run(process.execPath, [bin, 'run', 'What is goodput?', '--temperature', '0'], { cwd: folder })
    // A prompt may come from a pipe: this one is empty.
    answer.child.stdin?.end()
    expect((await answer).stdout).toMatch(/Goodput is/)
  })

  it('says on an old Node what it needs', async () => {
    const old = path.join(folder, 'old.cjs')
    await writeFile(
      old,
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })",
    )
    const failed = await run(process.execPath, ['--require', old, bin, 'serve']).catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 1, stdout: '' })
    expect((failed as { stderr: string }).stderr).toMatch(/^tokenmill needs Node 24 or newer; this is Node 20\.20\.2\./)
  })
})
