import { generateKeyPairSync, randomBytes } from 'node:crypto'
import forge from 'node-forge'

/** A certificate and its key, as PEM texts. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

const dayMs = 86_400_000

/** A private certificate authority, made for one test run and valid for a day. */
export class Authority {
  readonly cert: string
  readonly #key: string
  readonly #name: string

  constructor(name: string) {
    this.#name = name
    this.#key = createKey()
    this.cert = sign({ subject: name, key: this.#key, issuer: name, issuerKey: this.#key, ageDays: 0 }, [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
      { name: 'subjectKeyIdentifier' },
    ])
  }

  /** A certificate for a host name or address, or for a client. `ageDays` of 2 is one that has expired. */
  issue(host: string, ageDays = 0): Identity {
    const key = createKey()
    const altName = /^[\d.]+$/.test(host) ? { type: 7, ip: host } : { type: 2, value: host }
    const cert = sign({ subject: host, key, issuer: this.#name, issuerKey: this.#key, ageDays }, [
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames: [altName] },
    ])
    return { cert, key }
  }
}

interface Signing {
  readonly subject: string
  readonly key: string
  readonly issuer: string
  readonly issuerKey: string
  readonly ageDays: number
}

function sign({ subject, key, issuer, issuerKey, ageDays }: Signing, extensions: object[]): string {
  const { pki, md } = forge
  const certificate = pki.createCertificate()
  const { n, e } = pki.privateKeyFromPem(key)
  certificate.publicKey = pki.setRsaPublicKey(n, e)
  certificate.serialNumber = `00${randomBytes(8).toString('hex')}`
  const startMs = Date.now() - ageDays * dayMs
  certificate.validity.notBefore = new Date(startMs - 60_000)
  certificate.validity.notAfter = new Date(startMs + dayMs)
  certificate.setSubject([{ name: 'commonName', value: subject }])
  certificate.setIssuer([{ name: 'commonName', value: issuer }])
  certificate.setExtensions(extensions)
  certificate.sign(pki.privateKeyFromPem(issuerKey), md.sha256.create())
  return pki.certificateToPem(certificate)
}

/** Node makes RSA keys faster than anything in JavaScript. */
function createKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
}
