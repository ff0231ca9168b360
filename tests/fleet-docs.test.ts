import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { parseConfig } from '../src/config/index.ts'
import { fileSchema } from '../src/config/schema.ts'
import { parse } from 'yaml'

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

describe('docs/fleet.md', () => {
  const blocks = [...read('docs/fleet.md').matchAll(/```yaml\n([^]*?)```/g)].map((match) => match[1] ?? '')

  it('shows only configurations that are sound', () => {
    expect(blocks).toHaveLength(6)
    // The files of its secrets are the reader's.
    for (const block of blocks) expect(fileSchema.safeParse(parse(block)).error?.issues ?? []).toEqual([])
  })
})

describe('examples/fleet.yaml', () => {
  it('is sound, with and without the addresses from the environment', () => {
    const text = read('examples/fleet.yaml')
    const urls = (env: Record<string, string>) =>
      parseConfig(text, 'fleet.yaml', env).value.models[0]?.endpoints.map(({ url }) => url)
    expect(urls({})).toEqual(['http://127.0.0.1:8081', 'http://127.0.0.1:8082'])
    expect(urls({ REPLICA_A: 'http://a' })).toEqual(['http://a', 'http://127.0.0.1:8082'])
  })
})
