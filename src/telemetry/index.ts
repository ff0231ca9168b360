export { FleetMetrics, type EndpointGauges } from './fleet-metrics.ts'
export { createLogger, logRecord, type Logger, type LogTarget } from './logs.ts'
export { Metrics, type ModelGauges } from './metrics.ts'
export { RequestAccount, type RequestFacts, type TokenObserver } from './request-account.ts'
