import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'

/** Folders of the planner, lowest first: a file imports from its own folder and the ones before it. */
const layers = ['work', 'timing', 'search', 'report', 'fit']

it('imports point downwards: work, timing, search, and report and fit above them', () => {
  const files = globSync('{work,timing,search,report,fit}/**/*.ts', { cwd: import.meta.dirname }).filter(
    (file) => !file.endsWith('.test.ts'),
  )
  expect(files.length).toBeGreaterThan(25)
  const upward = files.flatMap((file) => {
    const own = layers.indexOf(path.dirname(file))
    const source = readFileSync(path.join(import.meta.dirname, file), 'utf8')
    return [...source.matchAll(/from '\.\.\/(\w+)\//g)]
      .filter(([, folder = '']) => layers.indexOf(folder) > own)
      .map(([, folder]) => `${file} imports ${folder}/`)
  })
  expect(upward).toEqual([])
})
