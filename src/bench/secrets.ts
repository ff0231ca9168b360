/** Query parameters by which providers take keys. */
const secretParameter = /key|token|secret|sig|password|auth/i

/** A URL as reports show it: values of parameters that may be keys are replaced. Text that is no URL stays. */
export function shownUrl(text: string): string {
  if (!/^https?:.*\?/i.test(text)) return text
  return text.replaceAll(/([?&]([^=&#]+)=)[^&#]*/g, (whole, start: string, name: string) =>
    secretParameter.test(name) ? `${start}<secret>` : whole,
  )
}

/** Shorter values are words, not keys: replacing them would garble messages. */
const shortestSecret = 6

/** Values of headers that must not appear in a report: each whole, and without the scheme before it. */
export function secretsOf(headers: Readonly<Record<string, string>>): readonly string[] {
  return Object.values(headers)
    .flatMap((value) => [value, value.replace(/^\w+\s+/, '')])
    .filter((value) => value.length >= shortestSecret)
}

/** The text without the secrets: servers quote the key that they refuse. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '<secret>'), text)
}
