export { TokenmillError, type ErrorCode, type ErrorDetails } from './core/index.ts'
export type * from './inference/index.ts'
