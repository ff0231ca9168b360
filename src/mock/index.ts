export { parseFault } from './faults.ts'
export { mockOptions, type MockOptions } from './options.ts'
export { startMock, type MockServer } from './server.ts'
export { toMockSettings } from './settings.ts'
