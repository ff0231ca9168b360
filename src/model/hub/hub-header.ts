import { mkdir, open, truncate } from 'node:fs/promises'
import path from 'node:path'
import { TokenmillError } from '../../core/index.ts'
import { readGgufHeader } from '../gguf-reader.ts'
import { findHubFiles, type HubAccess } from './hub-files.ts'
import { hubFileUrl, parseHubReference } from './hub-reference.ts'

/** Holds most headers; those with large vocabularies take two rounds. */
const firstBytes = 8 * 1024 ** 2
/** Beyond any header: a vocabulary of a million words. */
const mostBytes = 256 * 1024 ** 2

/**
 * A hub's model as far as its header, without its weights: sparse files of the true lengths in `folder`, the first with the
 * header in it. Gives the path of that one. Throws `startup` for what is no usable GGUF, named by its reference,
 * `not_found` and `upstream_failed` as a download does.
 */
export async function fetchHubHeader(
  text: string,
  access: HubAccess,
  folder: string,
  signal: AbortSignal,
): Promise<string> {
  const reference = parseHubReference(text)
  const files = await findHubFiles(reference, access, signal)
  const [first] = files
  if (first === undefined) throw new TokenmillError('not_found', `${text} has no GGUF file.`)
  for (const { path: name, bytes } of files) {
    const target = path.join(folder, name)
    await mkdir(path.dirname(target), { recursive: true })
    await (await open(target, 'w')).close()
    await truncate(target, bytes)
  }
  const target = path.join(folder, first.path)
  const url = hubFileUrl(reference, first.path, access.endpoint)
  const most = Math.min(first.bytes, mostBytes)
  let fetched = 0
  for (let wanted = Math.min(firstBytes, most); ; wanted = Math.min(4 * wanted, most)) {
    await fetchRange(url, access, target, fetched, wanted - 1, signal)
    fetched = wanted
    try {
      if (readGgufHeader(target).dataOffset <= fetched || fetched === most) return target
    } catch (error) {
      // What is not there yet reads as zeros: only a header that is whole can be wrong.
      if (fetched === most || !(await beginsAsGguf(target))) throw namedBy(text, target, error)
    }
  }
}

async function fetchRange(
  url: string,
  access: HubAccess,
  target: string,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<void> {
  const authorization = access.token === undefined ? {} : { authorization: `Bearer ${access.token}` }
  const response = await fetch(url, { headers: { ...authorization, range: `bytes=${from}-${to}` }, signal })
  if (response.status !== 206) {
    await response.body?.cancel()
    const why = response.status === 200 ? 'it does not serve ranges' : `status ${response.status}`
    throw new TokenmillError('upstream_failed', `${url} cannot be read in part: ${why}.`)
  }
  const file = await open(target, 'r+')
  try {
    const bytes = Buffer.from(await response.arrayBuffer())
    await file.write(bytes, 0, bytes.length, from)
  } finally {
    await file.close()
  }
}

async function beginsAsGguf(target: string): Promise<boolean> {
  const file = await open(target, 'r')
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0)
    return buffer.toString('latin1') === 'GGUF'
  } finally {
    await file.close()
  }
}

function namedBy(reference: string, target: string, error: unknown): unknown {
  if (!(error instanceof TokenmillError)) return error
  return new TokenmillError(error.code, error.message.replaceAll(target, reference), error.details, error)
}
