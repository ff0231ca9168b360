import { describe, expect, it } from 'vitest'
import { shownCommandLine } from './bench-command-line.ts'

describe('the command line in a report', () => {
  it('holds no key, however it was given', () => {
    const secret = 'sk-0123456789'
    const args = [
      ['bench', `http://host/v1?key=${secret}`],
      ['--api-key', secret],
      [`--api-key=${secret}`],
      ['--header', `X-Custom: ${secret}`],
      [`--header=Authorization: Bearer ${secret}=`],
      ['--header', secret],
    ].flat()
    const shown = shownCommandLine(args)
    expect(shown).not.toContain(secret)
    expect(shown).toBe(
      "tokenmill bench 'http://host/v1?key=<secret>' --api-key <secret> --api-key=<secret> --header 'X-Custom: <secret>' '--header=Authorization: <secret>' --header '<secret>'",
    )
  })

  it('is otherwise what was typed, quoted for a shell', () => {
    expect(shownCommandLine(['bench', 'http://host/v1', '--slo', "it's 1"])).toBe(
      String.raw`tokenmill bench http://host/v1 --slo 'it'\''s 1'`,
    )
  })
})
