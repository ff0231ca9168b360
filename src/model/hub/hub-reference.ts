import { TokenmillError } from '../../core/index.ts'

/** A model on a hub: `hf:owner/repo`, `hf:owner/repo:Q4_K_M`, `hf:owner/repo:folder/file.gguf@revision`. */
export interface HubReference {
  readonly owner: string
  readonly repository: string
  /** A file's path in the repository, or a part of its name, such as its precision; undefined: chosen. */
  readonly file: string | undefined
  /** Branch, tag or commit. */
  readonly revision: string
}

export function isHubReference(text: string): boolean {
  return text.startsWith('hf:')
}

/** Throws `invalid_request` for text that is no reference. */
export function parseHubReference(text: string): HubReference {
  const match = /^hf:([\w.-]+)\/([\w.-]+?)(?::([^@:]+))?(?:@([\w./-]+))?$/.exec(text)
  const [, owner, repository, file, revision] = match ?? []
  const unsafe = [owner, repository, file, revision].some((part) => part !== undefined && !isSafePath(part))
  if (owner === undefined || repository === undefined || unsafe) {
    throw new TokenmillError(
      'invalid_request',
      `'${text}' names no model on a hub; write hf:owner/repository, with :file and @revision where needed.`,
    )
  }
  return { owner, repository, file, revision: revision ?? 'main' }
}

/** Whether a path from outside stays inside the folder that it is put into. */
export function isSafePath(path: string): boolean {
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && !/[\\:*?"<>|\0]/.test(part))
}

/** Where a hub serves a file of the repository. */
export function hubFileUrl({ owner, repository, revision }: HubReference, file: string, endpoint: string): string {
  const escaped = file.split('/').map(encodeURIComponent).join('/')
  return `${endpoint.replace(/\/$/, '')}/${owner}/${repository}/resolve/${encodeURIComponent(revision)}/${escaped}`
}
