import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock, type TokenmillError } from '../core/index.ts'
import { loadConfig, type LoadedConfig } from './load.ts'
import { ConfigWatch } from './watch.ts'

let folder = ''
let watch: ConfigWatch | undefined
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tokenmill-watch-'))
})
afterEach(() => {
  watch?.close()
  rmSync(folder, { recursive: true })
})

const text = (name: string) => `models: [{name: ${name}, endpoints: [{url: "http://a", apiKey: {file: key}}]}]`

function start() {
  const file = path.join(folder, 'tokenmill.yaml')
  writeFileSync(path.join(folder, 'key'), 'one')
  writeFileSync(file, text('first'))
  const seen: LoadedConfig[] = []
  const errors: TokenmillError[] = []
  watch = new ConfigWatch(
    {
      file,
      env: {},
      clock: systemClock,
      onChange: (config) => seen.push(config),
      onError: (error) => errors.push(error),
    },
    loadConfig(file, {}),
  )
  return { file, seen, errors, names: () => seen.map(({ value }) => value.models[0]?.name) }
}

describe('ConfigWatch', () => {
  it('reads a changed file, one replaced by renaming, and a changed secret', async () => {
    const { file, seen, names } = start()
    writeFileSync(file, text('second'))
    await expect.poll(names, { timeout: 8000 }).toEqual(['second'])
    writeFileSync(`${file}.new`, text('third'))
    renameSync(`${file}.new`, file)
    await expect.poll(names, { timeout: 8000 }).toEqual(['second', 'third'])
    writeFileSync(path.join(folder, 'key'), 'two')
    await expect.poll(() => seen.length, { timeout: 8000 }).toBe(3)
    const key = seen[2]?.value.models[0]?.endpoints[0]?.apiKey
    expect(key === undefined ? '' : seen[2]?.secret(key)).toBe('two')
  })

  it('reports a broken file and keeps quiet until it is well again', async () => {
    const { file, seen, errors, names } = start()
    writeFileSync(file, 'models: [')
    await expect.poll(() => errors.length, { timeout: 8000 }).toBeGreaterThan(0)
    expect(seen).toEqual([])
    writeFileSync(file, text('well'))
    await expect.poll(names, { timeout: 8000 }).toEqual(['well'])
  })

  it('reads at once when asked', () => {
    const { seen } = start()
    watch?.reload()
    expect(seen).toHaveLength(1)
  })
})
