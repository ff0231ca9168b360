import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { TokenmillError } from '../core/index.ts'
import type { Io } from './command.ts'

/** Writes a file that the user asked for and says where it is. Throws `invalid_request` where it cannot be written. */
export function writeOutputFile(file: string, text: string, io: Pick<Io, 'stderr'>): void {
  try {
    writeFileSync(file, text)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new TokenmillError('invalid_request', `Cannot write ${file}: ${why}`, {}, error)
  }
  sayWritten(file, io)
}

/** On standard error: standard output may be somebody's data. */
export function sayWritten(file: string, io: Pick<Io, 'stderr'>): void {
  io.stderr.write(`Wrote ${path.resolve(file)}\n`)
}
