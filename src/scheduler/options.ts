import { z } from 'zod'
import { defineOptions, parseDurationMs } from '../core/index.ts'

export const placementNames = ['round-robin', 'least-in-flight', 'power-of-two', 'session-affinity'] as const

export type PlacementName = (typeof placementNames)[number]

export const schedulerOptions = defineOptions({
  maxQueue: {
    schema: z.coerce.number().int().min(0),
    default: 128,
    value: '<n>',
    help: 'Most requests that wait for a place at one model; one more is refused with 429',
    reason: 'At 4 slots and 2 s a request the last of 128 waits a minute, the longest that clients are told to wait',
    unit: 'requests',
  },
  maxQueueWaitMs: {
    schema: z
      .union([z.number(), z.string().transform((text) => parseDurationMs(text) ?? Number.NaN)])
      .pipe(z.number().min(1)),
    default: 30_000,
    value: '<duration>',
    help: 'Longest wait in the queue; then the request is refused with 503',
    reason: 'Proxies give up on a silent answer after 30 to 60 s; before that a refusal has its status and Retry-After',
    unit: 'ms',
  },
})

const milliseconds = z
  .union([z.number(), z.string().transform((text) => parseDurationMs(text) ?? Number.NaN)])
  .pipe(z.number({ error: 'must be a duration, such as 500ms or 30s' }).min(1))
const count = z.coerce.number().int().min(1)

/** How requests are brought to replicas, and when another is tried. A model may set its own for some of them. */
export const fleetOptions = defineOptions({
  placement: {
    schema: z.enum(placementNames),
    default: 'least-in-flight',
    value: '<policy>',
    help: 'How a replica is chosen for a request',
    reason: 'In-flight requests are counted at dispatch, so a burst spreads at once',
    choices: placementNames,
  },
  firstTokenMs: {
    schema: milliseconds,
    default: 60_000,
    value: '<duration>',
    help: 'Longest wait of one attempt for its first output; then another replica is tried',
    reason: 'Long enough for a prompt of 100,000 tokens on one GPU; set it lower where answers matter sooner',
    unit: 'ms',
  },
  totalMs: {
    schema: milliseconds,
    default: 600_000,
    value: '<duration>',
    help: 'Longest time of one request, over all attempts',
    reason: 'Client libraries give up after ten minutes',
    unit: 'ms',
  },
  maxAttempts: {
    schema: count.max(10),
    default: 3,
    value: '<n>',
    help: 'Most attempts of a request on one model, the first included; all before the first output',
    reason: 'Two replicas that fail one request are no chance any more',
    unit: 'attempts',
  },
  maxRetryWaitMs: {
    schema: milliseconds,
    default: 2_000,
    value: '<duration>',
    help: 'Longest wait for another attempt, where all replicas ask for a pause',
    reason: 'Beyond it the client is better told to come back',
    unit: 'ms',
  },
  retriesPerRequest: {
    schema: z.coerce.number().min(0).max(10),
    default: 0.2,
    value: '<share>',
    help: 'Retries that each request earns: 0.2 lets load grow by a fifth at most',
    reason: 'An outage must not be answered by three times the load',
    unit: 'retries',
  },
  retriesPerSecond: {
    schema: z.coerce.number().min(0).max(10_000),
    default: 10,
    value: '<n>',
    help: 'Retries allowed each second besides, for models with little traffic',
    reason: 'A model that is asked once a minute must be able to retry at all',
    unit: 'retries',
  },
  failuresToOpen: {
    schema: count.max(1000),
    default: 5,
    value: '<n>',
    help: 'Failures of a replica in a row after which it gets no requests for a while',
    reason: 'Fewer would let one restart of a connection eject it',
    unit: 'requests',
  },
  failureShareToOpen: {
    schema: z.coerce.number().gt(0).max(1),
    default: 0.5,
    value: '<share>',
    help: 'Share of failures among the last requests of a replica that ejects it too',
    reason: 'A replica that fails every other request never fails five in a row',
  },
  windowRequests: {
    schema: count.max(1000),
    default: 20,
    value: '<n>',
    help: 'How many requests that share is taken over',
    reason: 'Ten failures of twenty are hardly chance',
    unit: 'requests',
  },
  openMs: {
    schema: milliseconds,
    default: 5_000,
    value: '<duration>',
    help: 'How long an ejected replica rests before one request tries it; doubled each time that fails',
    reason: 'A process restarts in seconds',
    unit: 'ms',
  },
  maxOpenMs: {
    schema: milliseconds,
    default: 60_000,
    value: '<duration>',
    help: 'Longest such rest',
    reason: 'One failing request a minute is a fair price to notice that it is back',
    unit: 'ms',
  },
  trialsToClose: {
    schema: count.max(100),
    default: 2,
    value: '<n>',
    help: 'Requests that must succeed on an ejected replica, one at a time, before it is trusted again',
    reason: 'One success may be a cached answer',
    unit: 'requests',
  },
  maxInFlight: {
    schema: count.max(1_000_000),
    default: 4_096,
    value: '<n>',
    help: 'Most requests of one model at its endpoints at once; more wait in the queue',
    reason: 'Engines queue better than we do, as long as they are not flooded',
    unit: 'requests',
  },
  maxContinuationBytes: {
    schema: z.coerce.number().int().min(0),
    default: 1024 * 1024,
    value: '<bytes>',
    help: 'Most of an answer that is kept so that another replica can continue it; 0 turns that off',
    reason: '1 MiB is about 4,000 streamed tokens; a thousand streams then hold 1 GiB at worst',
    unit: 'bytes',
  },
})
