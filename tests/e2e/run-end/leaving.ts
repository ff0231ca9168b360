import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, it } from 'vitest'

it('leaves a process and a folder behind', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'left-'))
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' })
  child.unref()
  process.stderr.write(`left ${child.pid} ${folder}\n`)
  if (process.env['MANNER'] === 'hang') await new Promise((resolve) => setTimeout(resolve, 60_000))
  expect(process.env['MANNER']).toBe('end')
}, 90_000)
