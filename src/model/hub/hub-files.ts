import { TokenmillError } from '../../core/index.ts'
import { isSafePath, type HubReference } from './hub-reference.ts'

/** How to reach a hub. */
export interface HubAccess {
  /** `https://huggingface.co`, or a mirror. */
  readonly endpoint: string
  readonly token: string | undefined
  /** Nothing is fetched: what is not in the store is not there. */
  readonly offline: boolean
}

export interface HubFile {
  readonly path: string
  readonly bytes: number
  /** Hexadecimal, from the hub's LFS metadata; undefined where the file is not kept there. */
  readonly sha256: string | undefined
}

/** Precisions in the order in which they are chosen where the reference names none. */
const preferred = ['q4_k_m', 'q4_0', 'q5_k_m', 'q8_0', 'f16', 'bf16']

/** The GGUF files that the reference means: one, or all shards of one model. Throws `not_found` with the names there are. */
export async function findHubFiles(
  reference: HubReference,
  access: HubAccess,
  signal: AbortSignal,
): Promise<readonly HubFile[]> {
  const { owner, repository, revision } = reference
  const found: HubFile[] = []
  // Loaded when a model is looked for: a server does not need its memory.
  const { listFiles } = await import('@huggingface/hub')
  const files = listFiles({
    repo: `${owner}/${repository}`,
    revision,
    recursive: true,
    hubUrl: access.endpoint,
    // The library takes Hugging Face's own tokens alone; mirrors have others.
    fetch: (input, init) => {
      const headers = new Headers(init?.headers)
      if (access.token !== undefined) headers.set('authorization', `Bearer ${access.token}`)
      return fetch(input, { ...init, headers, signal })
    },
  })
  try {
    for await (const file of files) {
      if (!file.path.endsWith('.gguf') || /mmproj/i.test(file.path) || !isSafePath(file.path)) continue
      found.push({ path: file.path, bytes: file.lfs?.size ?? file.size, sha256: file.lfs?.oid })
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    const reason = error instanceof Error ? error.message : String(error)
    throw new TokenmillError(
      'upstream_failed',
      `${access.endpoint} does not list ${owner}/${repository} at ${revision}: ${reason}. ` +
        'Check the name, the network, and HF_TOKEN for a gated model.',
      {},
      error,
    )
  }
  return choose(found, reference)
}

function choose(files: readonly HubFile[], { owner, repository, file }: HubReference): readonly HubFile[] {
  const firsts = files.filter(({ path }) => (shardOf(path)?.index !== undefined ? shardOf(path)?.index === 1 : true))
  const wanted =
    file === undefined
      ? (preferred.map((name) => firsts.find(({ path }) => nameHas(path, name))).find((hit) => hit !== undefined) ??
        (firsts.length === 1 ? firsts[0] : undefined))
      : (firsts.find(({ path }) => path === file) ?? firsts.find(({ path }) => nameHas(path, file)))
  if (wanted === undefined) {
    const names = firsts.map(({ path }) => path)
    const what = file === undefined ? 'several GGUF files, or none' : `no GGUF file '${file}'`
    throw new TokenmillError(
      'not_found',
      `${owner}/${repository} has ${what}. Choose one of: ${names.slice(0, 20).join(', ') || '(none)'}.`,
      { available: names },
    )
  }
  const shard = shardOf(wanted.path)
  if (shard === undefined) return [wanted]
  const all = files.filter(({ path }) => shardOf(path)?.stem === shard.stem)
  if (all.length === shard.count) return all.toSorted((a, b) => a.path.localeCompare(b.path))
  throw new TokenmillError(
    'not_found',
    `${wanted.path} is one of ${shard.count} parts; the repository has ${all.length}.`,
  )
}

/** The part's place in `name-00001-of-00003.gguf`; undefined for a whole file. */
export function shardOf(
  path: string,
): { readonly stem: string; readonly index: number; readonly count: number } | undefined {
  const match = /^(.+)-(\d{5})-of-(\d{5})\.gguf$/.exec(path)
  return match === null ? undefined : { stem: match[1] ?? '', index: Number(match[2]), count: Number(match[3]) }
}

function nameHas(path: string, part: string): boolean {
  const name = path.toLowerCase()
  return new RegExp(`(^|[^a-z0-9])${part.toLowerCase().replace(/[^a-z0-9]/g, '[^a-z0-9]')}([^a-z0-9]|$)`).test(name)
}
