import { fstatSync, write, writeSync } from 'node:fs'

/** Where lines end up. Neither call blocks for longer than a local disk takes, and neither throws. */
export interface LineTarget {
  /** Calls `done` once the text is with the operating system, or with the reason why it is not. */
  write(text: string, done: (error?: Error | null) => void): void
  /** Writes what the target takes at once: the process is about to end. */
  writeNow(text: string): void
  readonly isTTY?: boolean | undefined
}

/** A process's stdout or stderr. */
export interface OutputStream {
  readonly fd: number
  readonly isTTY?: boolean
  write(text: string, done: (error?: Error | null) => void): unknown
}

/**
 * The target behind an output stream. Node writes to pipes and sockets without blocking, but to files on the calling
 * thread, where a busy disk would stop the event loop: files are written by the thread pool. A pipe must not be, since
 * a thread that waits for its reader would keep the process from exiting.
 */
export function toLineTarget(stream: OutputStream): LineTarget {
  const { fd, isTTY } = stream
  return isTTY !== true && isFile(fd) ? fileTarget(fd) : streamTarget(stream)
}

function isFile(fd: number): boolean {
  try {
    const stat = fstatSync(fd)
    return !stat.isFIFO() && !stat.isSocket()
  } catch {
    return false
  }
}

function streamTarget(stream: OutputStream): LineTarget {
  return {
    isTTY: stream.isTTY,
    write: (text, done) => void stream.write(text, done),
    writeNow: (text) => void stream.write(text, () => undefined),
  }
}

function fileTarget(fd: number): LineTarget {
  const writeAll = (bytes: Buffer, done: (error?: Error | null) => void): void => {
    write(fd, bytes, 0, bytes.length, null, (error, written) => {
      if (error !== null || written === bytes.length) done(error)
      else writeAll(bytes.subarray(written), done)
    })
  }
  return {
    write: (text, done) => writeAll(Buffer.from(text), done),
    writeNow(text) {
      try {
        writeSync(fd, text)
      } catch {
        // The last lines are lost: no place is left to say so.
      }
    },
  }
}
