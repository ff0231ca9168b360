export { createEmbeddedEngines, type ServedEngine } from './embedded-engines.ts'
export { startServer, type RunningServer, type ServerParts, type ServerSettings } from './compose.ts'
export { createKey, hashKey, minKeyCharacters } from './key-hash.ts'
export { requireSafeBinding } from './compose.ts'
