import { describe, expect, it } from 'vitest'
import { Guard } from './guard.ts'
import { parseOrigin, serverOptions } from './options.ts'

const passes = (origin: string, ...corsOrigins: readonly string[]): boolean => {
  const guard = new Guard({ host: '127.0.0.1', allowedHosts: [], corsOrigins })
  try {
    guard.check({ host: '127.0.0.1:8080', origin })
    return true
  } catch {
    return false
  }
}

describe('Guard', () => {
  it("lets an allowed app's origin pass, and no other opaque one", () => {
    expect(passes('app://obsidian.md', 'app://obsidian.md')).toBe(true)
    expect(passes('tauri://localhost', 'tauri://localhost/')).toBe(true)
    expect(passes('null', 'app://obsidian.md')).toBe(false)
    expect(passes('app://other.md', 'app://obsidian.md')).toBe(false)
    expect(passes('file://', 'app://obsidian.md')).toBe(false)
  })

  it('compares origins without their slash, case and default port, and never a part of one', () => {
    expect(passes('https://app.example', 'https://App.example:443/')).toBe(true)
    expect(passes('https://app.example:8443', 'https://app.example')).toBe(false)
    expect(passes('http://app.example', 'https://app.example')).toBe(false)
    expect(passes('https://app.example.evil.example', 'https://app.example')).toBe(false)
  })

  it('lets every origin pass with *, and our own page without anything', () => {
    expect(passes('null', '*')).toBe(true)
    expect(passes('http://127.0.0.1:8080')).toBe(true)
    expect(passes('http://127.0.0.1:8081')).toBe(false)
  })
})

describe('--cors-origin', () => {
  const { schema } = serverOptions.corsOrigin

  it('takes origins of pages and apps and drops a trailing slash', () => {
    for (const [text, origin] of [
      ['*', '*'],
      ['https://app.example/', 'https://app.example'],
      ['HTTP://localhost:3000', 'http://localhost:3000'],
      ['app://obsidian.md', 'app://obsidian.md'],
      ['chrome-extension://abcdef/', 'chrome-extension://abcdef'],
    ] as const) {
      expect(schema.parse(text)).toBe(origin)
    }
  })

  it('refuses what no browser sends as an origin', () => {
    for (const text of [
      'null',
      'app.example',
      'https://app.example/path',
      'https://',
      'https://a@b',
      'file:///x',
      '',
    ]) {
      expect(schema.safeParse(text).error?.issues[0]?.message, text).toMatch(/must be an origin/)
      expect(parseOrigin(text)).toBeUndefined()
    }
  })
})

describe('--api-key', () => {
  it('refuses a key that no header can carry: a space within it, or the line end of its file', () => {
    const { schema } = serverOptions.apiKey
    expect(schema.parse('a-long-secret')).toBe('a-long-secret')
    for (const key of ['a-long-secret\r\n', 'a-long-secret\r', 'a long secret', 'ein-schlüssel']) {
      expect(schema.safeParse(key).error?.issues[0]?.message).toMatch(/no space, no line end/)
    }
  })
})
