import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { optionFaces, publicFaces, rooms, strangers, timeKeepers } from '../house.config.ts'

const source = path.resolve(import.meta.dirname, '../src')
const files = globSync('**/*.ts', { cwd: source })

interface Crossing {
  readonly file: string
  readonly from: string
  readonly to: string
  readonly target: string
}

/** The files that a file imports by a relative path, as paths from src/. */
function importsOf(file: string): string[] {
  const text = readFileSync(path.join(source, file), 'utf8')
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1] ?? '')
  return specifiers.map((specifier) => path.relative(source, path.resolve(source, path.dirname(file), specifier)))
}

/** Every relative import that leaves its room. Files directly under src/ are the library's face and see all rooms. */
function crossings(): Crossing[] {
  return files.flatMap((file) => {
    const from = file.split('/')[0] ?? ''
    if (!file.includes('/')) return []
    return importsOf(file)
      .filter((resolved) => !resolved.startsWith('..') && resolved.split('/')[0] !== from)
      .map((resolved) => ({
        file,
        from,
        to: resolved.split('/')[0] ?? '',
        target: resolved.split('/').slice(1).join('/'),
      }))
  })
}

/** The machine's time and timers. `new Date(ms)` with an argument only formats. */
const machineTime =
  /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bhrtime\b|\bset(?:Timeout|Interval)\b|\bAbortSignal\.timeout\b/

/** Source files that use it, comments and tests aside. */
function usersOfMachineTime(): string[] {
  return files.filter((file) => {
    if (file.endsWith('.test.ts') || file.startsWith('cli/') || file === 'core/clock.ts') return false
    const code = readFileSync(path.join(source, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
    return machineTime.test(code)
  })
}

describe('the house', () => {
  it('has a row in house.config.ts for each room, and looks at their files', () => {
    const found = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0] ?? ''))
    expect(files.length).toBeGreaterThan(10)
    for (const room of found) expect(Object.keys(rooms)).toContain(room)
  })

  it('lets each room import only the rooms that its row names', () => {
    const wrong = crossings().filter((crossing) => {
      if (crossing.from === 'config') return crossing.to !== 'core' && !optionFaces.includes(crossing.target)
      return !rooms[crossing.from]?.includes(crossing.to)
    })
    expect(wrong).toEqual([])
  })

  it('enters a room through its public face', () => {
    const allowed = new Set([...publicFaces, ...optionFaces])
    expect(crossings().filter((crossing) => !allowed.has(crossing.target))).toEqual([])
  })

  it('keeps apart the folders of a room that are different processes or threads', () => {
    const within = (folder: string, file: string) => file.startsWith(`${folder}/`)
    for (const [one, other] of strangers) {
      for (const folder of [one, other]) expect(files.some((file) => within(folder, file))).toBe(true)
      const wrong = files.filter((file) =>
        importsOf(file).some(
          (target) => (within(one, file) && within(other, target)) || (within(other, file) && within(one, target)),
        ),
      )
      expect(wrong).toEqual([])
    }
  })

  it('runs neither chat templates nor schemas on the thread that serves the embedded engine’s clients', () => {
    const parent = files.filter((file) => file.startsWith('engine/parent/') && !file.endsWith('.test.ts'))
    expect(parent.length).toBeGreaterThan(5)
    const running = /\b(?:createChatFormat|compileChatTemplate|ConstraintCompiler|createPreparation)\b/
    expect(parent.filter((file) => running.test(readFileSync(path.join(source, file), 'utf8')))).toEqual([])
  })

  it('keeps core free of every other room, and options files free of all rooms but core', () => {
    expect(crossings().filter((crossing) => crossing.from === 'core')).toEqual([])
    expect(crossings().filter((crossing) => crossing.file.endsWith('/options.ts') && crossing.to !== 'core')).toEqual(
      [],
    )
  })

  it('takes time from a Clock, but for the files that house.config.ts names; each of those still needs its line', () => {
    expect(usersOfMachineTime().sort()).toEqual(Object.keys(timeKeepers).sort())
  })
})
