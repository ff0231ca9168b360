/**
 * The watcher of a run (run-guard.ts). A line on stdin, the run's process id, asks which of the run's processes are left
 * beside that process and its children. The end of stdin is the end of the run.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'

const folder = process.argv[2] ?? ''
/** Processes that end by themselves get this long, at the question and at the end: a busy machine is slow. */
const questionGraceMs = 10_000
const endGraceMs = 3000
const stepMs = 50

interface Left {
  readonly pid: number
  readonly parent: number
  readonly command: string
}

/** The processes that carry the run's mark. Empty where the system has no /proc. */
function marked(): Left[] {
  const mark = `TOKENMILL_RUN=${folder}`
  return pids().flatMap((pid) => {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark)) return []
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      // A zombie has ended; its parent has not looked yet.
      if (state === 'Z') return []
      return [
        { pid, parent: Number(parent), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') },
      ]
    } catch {
      return []
    }
  })
}

function pids(): number[] {
  try {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0)
  } catch {
    return []
  }
}

/** What is left once processes that are ending have ended. */
async function settled(left: () => readonly Left[], graceMs: number): Promise<readonly Left[]> {
  for (let waitedMs = 0; ; waitedMs += stepMs) {
    const found = left()
    if (found.length === 0 || waitedMs >= graceMs) return found
    await new Promise((resolve) => setTimeout(resolve, stepMs))
  }
}

process.stdout.on('error', () => undefined)
for await (const line of createInterface({ input: process.stdin })) {
  const run = Number(line)
  const found = await settled(
    () => marked().filter(({ pid, parent }) => pid !== run && parent !== run),
    questionGraceMs,
  )
  process.stdout.write(`${JSON.stringify(found.map(({ pid, command }) => `${pid} ${command}`))}\n`)
}
for (const { pid } of await settled(marked, endGraceMs)) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended meanwhile.
  }
}
rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
