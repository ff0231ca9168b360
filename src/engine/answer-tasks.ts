import { parentPort, type MessagePort } from 'node:worker_threads'
import { toTokenmillError } from '../core/index.ts'
import type { TaskAnswer } from './work-thread.ts'

/** The other end of a WorkThread: does each task that arrives, and answers with its result or its error. */
export function answerTasks(run: (task: never) => unknown): void {
  const port = parentPort as MessagePort
  port.on('message', (task: unknown) =>
    port.postMessage(
      answerOf(() => run(task as never)),
      [],
    ),
  )
  port.postMessage({ ready: true } satisfies TaskAnswer<unknown>, [])
}

function answerOf(run: () => unknown): TaskAnswer<unknown> {
  try {
    return { value: run() }
  } catch (error) {
    const { code, message, details } = toTokenmillError(error)
    return { fault: { code, message, details } }
  }
}
