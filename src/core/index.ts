export { abortError, linkedController, onAbort, sleep, throwIfAborted } from './abort.ts'
export { Channel, type Pausable } from './channel.ts'
export { createMachineClock, systemClock, VirtualClock, type Clock } from './clock.ts'
export { complaintOf } from './complaint.ts'
export { limitError, TokenmillError, toTokenmillError, type ErrorCode, type ErrorDetails } from './errors.ts'
export { Heap } from './heap.ts'
export { createId } from './ids.ts'
export {
  defaultValues,
  defineOptions,
  flagName,
  optionValues,
  type Option,
  type OptionTable,
  type OptionValues,
} from './options.ts'
export { BoundedQueue, type QueueEntry } from './queue.ts'
export { createRandom, type Random } from './random.ts'
export { formatBytes, parseBytes, parseDurationMs } from './units.ts'
