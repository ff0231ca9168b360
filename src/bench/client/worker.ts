import { parentPort, workerData } from 'node:worker_threads'
import { createMachineClock } from '../../core/index.ts'
import type { RequestRecord } from '../metrics/record.ts'
import { loadTokenCounter } from '../tokens.ts'
import { LoadRunner } from './load-runner.ts'
import { packRecords, type WorkerCommand, type WorkerReport, type WorkerStart } from './worker-messages.ts'

/** How often finished requests are handed to the main thread. */
const reportPeriodMs = 100

/** Entry of a load thread: offers its part of the plan and posts what it saw. */
async function main(): Promise<void> {
  const port = parentPort
  if (port === null) return
  const { plan, part, parts, tokenizerPath } = workerData as WorkerStart
  const clock = createMachineClock()
  const countTokens = tokenizerPath === undefined ? undefined : await loadTokenCounter(tokenizerPath)
  let originMs = Infinity
  let finished: RequestRecord[] = []
  const runner = new LoadRunner({
    plan,
    part,
    parts,
    nowMs: () => clock.now() - originMs,
    onRecord: (record) => finished.push(record),
    ...(countTokens === undefined ? {} : { countTokens }),
  })
  const post = (report: WorkerReport, owned: ArrayBuffer[] = []): void => port.postMessage(report, owned)
  const flush = (): void => {
    const batch = packRecords(finished)
    finished = []
    post({ kind: 'records', batch, inFlight: runner.inFlight }, [batch.chunksMs.buffer])
  }
  const started = new Promise<void>((resolve) => {
    port.on('message', (command: WorkerCommand) => {
      if (command.kind === 'stop') runner.stop(command.mode)
      else {
        originMs = command.originMs
        resolve()
      }
    })
  })
  post({ kind: 'ready' })
  await started
  const before = process.threadCpuUsage()
  const timer = setInterval(flush, reportPeriodMs)
  await runner.run()
  clearInterval(timer)
  flush()
  const cpu = process.threadCpuUsage(before)
  post({
    kind: 'done',
    client: {
      receiveLagMs: runner.watch.receiveLagMs.toJSON(),
      loopDelayMs: runner.watch.loopDelayMs.toJSON(),
      resent: runner.resent,
      cpuMs: (cpu.user + cpu.system) / 1000,
    },
  })
  port.close()
}

await main()
