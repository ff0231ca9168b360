/**
 * The engine's process: one model, one loop. It speaks with its parent alone, by messages.ts, and ends with it.
 * Whatever kills it (a crash in native code, a signal) is the parent's to see and to mend.
 */
import koffi from 'koffi'
import { createServing, type Serving } from './serving.ts'
import type { FromChild, ToChild } from '../messages.ts'

/** Messages on their way to the parent; beyond this the loop waits: a parent that does not read stops the engine. */
const outstandingMessages = 64
let outstanding = 0
let serving: Serving | undefined
let turning = false

process.on('disconnect', () => process.exit(0))
process.on('message', (message: ToChild) => receive(message))
dieWithParent(process.ppid)

function receive(message: ToChild): void {
  if (message.type === 'load') {
    try {
      serving = createServing(message.spec, (progress) => send({ type: 'progress', progress }), turn)
      send({ type: 'loaded', model: serving.model })
    } catch (error) {
      send({ type: 'loadFailed', message: error instanceof Error ? error.message : String(error) })
    }
    return
  }
  const answer = serving?.receive(message)
  if (answer !== undefined) send(answer)
  turn()
}

/** Steps until nothing is left to do, letting messages in between two steps. */
function turn(): void {
  if (turning || serving === undefined || !serving.busy) return
  turning = true
  setImmediate(() => {
    turning = false
    for (const message of serving?.step() ?? []) send(message)
    if (outstanding < outstandingMessages) turn()
  })
}

function send(message: FromChild): void {
  if (!process.connected) return
  outstanding += 1
  process.send?.(message, undefined, undefined, () => {
    outstanding -= 1
    turn()
  })
}

/** On Linux the kernel ends this process with its parent, even while native code computes. Elsewhere `disconnect` does. */
function dieWithParent(parent: number): void {
  if (process.platform !== 'linux') return
  const prctl = koffi.load(null).func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])
  const setParentDeathSignal = 1
  const sigkill = 9
  prctl(setParentDeathSignal, sigkill, 0, 0, 0)
  if (process.ppid !== parent) process.exit(0)
}
