#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

// Before anything else is imported: compiled code from the last start halves the time to readiness, and running
// from source it also keeps the type stripper (30 MB) out of memory. NODE_COMPILE_CACHE moves it,
// NODE_DISABLE_COMPILE_CACHE=1 turns it off.
enableCompileCache()

const { main } = await import('./run.ts')
process.exitCode = await main(process.argv)
