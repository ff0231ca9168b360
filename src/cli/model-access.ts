import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { formatBytes, TokenmillError } from '../core/index.ts'
import { fetchHubHeader, isHubReference, ModelStore, type HubAccess, type StoredModel } from '../model/index.ts'
import { bundledModel } from './bundled-model.ts'
import type { Io } from './command.ts'

/** The folder of fetched models: `TOKENMILL_CACHE`, else `tokenmill` in the user's cache folder. */
export function openStore(io: Io): ModelStore {
  const { TOKENMILL_CACHE, XDG_CACHE_HOME } = io.env
  return new ModelStore(
    path.join(TOKENMILL_CACHE ?? path.join(XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'tokenmill'), 'models'),
  )
}

/** As Hugging Face's own tools read them: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`. */
export function hubAccess(io: Io, offline: boolean): HubAccess {
  const { HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE } = io.env
  return {
    endpoint: HF_ENDPOINT ?? 'https://huggingface.co',
    token: HF_TOKEN === '' ? undefined : HF_TOKEN,
    offline: offline || HF_HUB_OFFLINE === '1',
  }
}

/** Fetches the model unless it is there, with a bar at a terminal and a line elsewhere. */
export async function pullModel(reference: string, io: Io, offline = false): Promise<StoredModel> {
  const store = openStore(io)
  const known = store.find(reference)
  if (known !== undefined) return known
  const { default: cliProgress } = await import('cli-progress')
  const bar = new cliProgress.SingleBar({
    format: 'Fetching {file} {bar} {percentage} % of {size}, {eta_formatted} left',
    stream: io.stderr,
    hideCursor: true,
    noTTYOutput: false,
  })
  let started = false
  try {
    return await store.pull(
      reference,
      hubAccess(io, offline),
      (file, bytes, total) => {
        const payload = { file: path.basename(file), size: formatBytes(total) }
        if (!started) {
          started = true
          if (io.stderr.isTTY) bar.start(total, bytes, payload)
          else io.stderr.write(`Fetching ${payload.file}, ${payload.size}\n`)
        } else if (io.stderr.isTTY) bar.update(bytes, payload)
      },
      io.stop,
    )
  } finally {
    bar.stop()
  }
}

/** The path of a model file that is named by path, by reference, or as `nano`; a reference is fetched. */
export async function resolveModelPath(model: string, io: Io): Promise<string> {
  return isHubReference(model) ? (await pullModel(model, io)).path : fileOf(model)
}

/** The model in the box has a name, where no file has it. */
function fileOf(model: string): string {
  return model === 'nano' && !existsSync(model) ? bundledModel : model
}

/**
 * Gives `use` the path of a model whose header can be read: a file here, or a hub's model without its weights, of which only
 * the header is fetched.
 */
export async function withModelHeader<T>(model: string, io: Io, use: (file: string) => T): Promise<T> {
  if (!isHubReference(model)) return use(fileOf(model))
  const found = openStore(io).find(model)
  if (found !== undefined) return use(found.path)
  const access = hubAccess(io, false)
  if (access.offline)
    throw new TokenmillError('not_found', `${model} is not on this machine, and offline mode fetches nothing.`)
  const folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-header-'))
  try {
    return use(await fetchHubHeader(model, access, folder, io.stop))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
