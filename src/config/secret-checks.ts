import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import type { Path } from './document.ts'
import type { FileConfig, SecretConfig } from './schema.ts'

interface Found {
  readonly path: Path
  readonly message: string
}

/** What is wrong with the texts of secrets: certificates and keys that TLS would not take, values that no header carries. */
export function findSecretProblems(config: FileConfig, text: (reference: SecretConfig) => string): readonly Found[] {
  const found: Found[] = []
  const { tls } = config.listen
  if (tls !== undefined)
    found.push(...pairProblems(['listen', 'tls'], tls.cert, tls.key, tls.clientCa, 'clientCa', text))
  config.models.forEach((model, m) => {
    model.endpoints.forEach((endpoint, e) => {
      const at = ['models', m, 'endpoints', e]
      const { apiKey, headers } = endpoint
      const values: readonly (readonly [Path, SecretConfig | undefined])[] = [
        [[...at, 'apiKey'], apiKey],
        ...Object.entries(headers).map(([name, value]) => [[...at, 'headers', name], value] as const),
      ]
      for (const [path, reference] of values) {
        if (reference === undefined || !/[\0\r\n]/.test(text(reference))) continue
        found.push({ path, message: 'has a line end, which no header can carry' })
      }
      const own = endpoint.tls
      if (own !== undefined) found.push(...pairProblems([...at, 'tls'], own.cert, own.key, own.ca, 'ca', text))
    })
  })
  return found
}

function pairProblems(
  at: Path,
  certReference: SecretConfig | undefined,
  keyReference: SecretConfig | undefined,
  caReference: SecretConfig | undefined,
  caName: string,
  text: (reference: SecretConfig) => string,
): Found[] {
  const found: Found[] = []
  const cert = certReference === undefined ? undefined : readCertificate(text(certReference))
  const key = keyReference === undefined ? undefined : readKey(text(keyReference))
  const ca = caReference === undefined ? undefined : readCertificate(text(caReference))
  if (typeof cert === 'string') found.push({ path: [...at, 'cert'], message: cert })
  if (typeof key === 'string') found.push({ path: [...at, 'key'], message: key })
  if (typeof ca === 'string') found.push({ path: [...at, caName], message: ca })
  if (cert instanceof X509Certificate && typeof key === 'object' && !cert.checkPrivateKey(key)) {
    found.push({ path: [...at, 'key'], message: 'is not the key of the certificate in `cert`' })
  }
  if (cert === undefined && key !== undefined) found.push({ path: [...at, 'key'], message: 'has no `cert` beside it' })
  if (key === undefined && cert !== undefined) found.push({ path: [...at, 'cert'], message: 'has no `key` beside it' })
  return found
}

/** The first certificate of a chain, or what is wrong. */
function readCertificate(text: string): X509Certificate | string {
  try {
    return new X509Certificate(text)
  } catch {
    return 'is no certificate; it must be PEM text, from -----BEGIN CERTIFICATE----- on'
  }
}

function readKey(text: string): KeyObject | string {
  try {
    return createPrivateKey(text)
  } catch {
    return text.includes('ENCRYPTED')
      ? 'is encrypted; give a key without a passphrase'
      : 'is no private key; it must be PEM text, from -----BEGIN PRIVATE KEY----- on'
  }
}
