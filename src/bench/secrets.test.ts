import { describe, expect, it } from 'vitest'
import { secretsOf, shownUrl, withoutSecrets } from './secrets.ts'

describe('a report', () => {
  it('shows URLs without keys', () => {
    expect(shownUrl('https://host/v1?key=abc&api-version=2024-10-21')).toBe(
      'https://host/v1?key=<secret>&api-version=2024-10-21',
    )
    expect(shownUrl('https://host/v1')).toBe('https://host/v1')
    expect(shownUrl('key=abc')).toBe('key=abc')
  })

  it('shows no value of a header that a server quotes, with or without its scheme', () => {
    const secrets = secretsOf({ authorization: 'Bearer sk-12345678', 'x-team': 'team-blue-7', 'x-flag': 'on' })
    const said = 'Incorrect API key sk-12345678 (Bearer sk-12345678) of team-blue-7 on Monday'
    expect(withoutSecrets(said, secrets)).toBe('Incorrect API key <secret> (<secret>) of <secret> on Monday')
  })
})
