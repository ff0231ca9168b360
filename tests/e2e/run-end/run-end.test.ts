import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { isAlive, until } from '../start-cli.ts'

const vitest = path.resolve(import.meta.dirname, '../../../node_modules/vitest/vitest.mjs')

/** Runs a test that leaves something behind; `signal` comes once it has. */
async function runLeaving(manner: 'hang' | 'end' | 'fail', signal?: NodeJS.Signals) {
  const config = path.join(import.meta.dirname, 'vitest.config.ts')
  const child = spawn(process.execPath, [vitest, 'run', '--config', config], {
    env: { ...process.env, MANNER: manner },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => {
      output += text.toString()
      if (signal !== undefined && /left \d+ \S+\n/.test(output) && !child.killed) child.kill(signal)
    })
  }
  await once(child, 'close')
  const [, pid = '', folder = ''] = /left (\d+) (\S+)\n/.exec(output) ?? []
  expect(folder).not.toBe('')
  return { code: child.exitCode, output, pid: Number(pid), folder }
}

describe('a run of the tests', () => {
  it('leaves no process and no folder where a test fails or the run is interrupted or killed', async () => {
    for (const [manner, signal] of [['fail'], ['hang', 'SIGINT'], ['hang', 'SIGKILL']] as const) {
      const { pid, folder } = await runLeaving(manner, signal)
      await until(() => !isAlive(pid) && !existsSync(path.dirname(folder)))
    }
  })

  it('fails where a test that passed left a process behind, names it and ends it', async () => {
    const { code, output, pid } = await runLeaving('end')
    expect(code).toBe(1)
    expect(output).toMatch(new RegExp(`Tests left processes behind:\\s+${pid} .*setInterval`))
    await until(() => !isAlive(pid))
  })
})
