import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** Facts about this installation that the management endpoints and the start-up line tell. */
export interface Product {
  readonly version: string
  readonly license: LicenseText
}

export interface LicenseText {
  readonly name: string
  readonly path: string
  /** SHA-1 in hexadecimal, as NIM's clients expect it. */
  readonly sha: string
  /** Characters of the content. */
  readonly size: number
  readonly url: string
  readonly type: 'file'
  readonly content: string
}

/** Reads package.json and LICENSE from the package's root, which is two folders up in src/ and in dist/ alike. */
export function readProduct(): Product {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const content = readFileSync(new URL('../../LICENSE', import.meta.url), 'utf8')
  return {
    version,
    license: {
      name: 'Apache-2.0',
      path: 'LICENSE',
      sha: createHash('sha1').update(content).digest('hex'),
      size: content.length,
      url: 'https://www.apache.org/licenses/LICENSE-2.0',
      type: 'file',
      content,
    },
  }
}
