/**
 * Adds to package-lock.json the optional packages that the registry at hand does not serve.
 *
 * A mirror that carries only its own platform answers 404 for the binaries of the others; `npm install` then leaves
 * them out of the lock, and `npm ci` calls the lock incomplete. This writes their entries from what their parents
 * ask for: name, exact version, and the platform that the name tells. Run it after every `npm install`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'

interface LockEntry {
  version?: string
  optional?: boolean
  dev?: boolean
  os?: string[]
  cpu?: string[]
  libc?: string[]
  optionalDependencies?: Record<string, string>
}

/** The root's lock, or that of the folder named on the command line. */
const path = resolve(import.meta.dirname, '..', process.argv[2] ?? '.', 'package-lock.json')
const lock = JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, LockEntry> }

const systems: Readonly<Record<string, string>> = {
  android: 'android',
  darwin: 'darwin',
  mac: 'darwin',
  freebsd: 'freebsd',
  linux: 'linux',
  linuxmusl: 'linux',
  netbsd: 'netbsd',
  openbsd: 'openbsd',
  openharmony: 'openharmony',
  sunos: 'sunos',
  win32: 'win32',
  win: 'win32',
  windows: 'win32',
  aix: 'aix',
}
const processors = new Set([
  'arm',
  'arm64',
  'armv7l',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'x64',
])

/** The platform that a package's name tells: `binding-linux-arm64-musl` is linux, arm64, musl. */
function platformOf(name: string): Pick<LockEntry, 'os' | 'cpu' | 'libc'> | undefined {
  const words = (name.split('/').at(-1) ?? '').split('-')
  const os = words.map((word) => systems[word]).find((system) => system !== undefined)
  const cpu = words.find((word) => processors.has(word))
  if (os === undefined || cpu === undefined) return undefined
  const libc = words.includes('musl') ? ['musl'] : words.includes('gnu') && os === 'linux' ? ['glibc'] : undefined
  return { os: [os], cpu: [cpu === 'armv7l' ? 'arm' : cpu], ...(libc && { libc }) }
}

/** Where npm would look for `name` as a dependency of the package at `parent`. */
function isLocked(parent: string, name: string): boolean {
  for (let base = parent; ; base = base.slice(0, Math.max(0, base.lastIndexOf('/node_modules/')))) {
    const place = base === '' ? `node_modules/${name}` : `${base}/node_modules/${name}`
    if (lock.packages[place] !== undefined) return true
    if (base === '' || !base.includes('/node_modules/')) break
  }
  return lock.packages[`node_modules/${name}`] !== undefined
}

let added = 0
for (const [parent, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const platform = platformOf(name)
    if (isLocked(parent, name) || platform === undefined || !/^\d/.test(version)) continue
    lock.packages[`node_modules/${name}`] = { version, optional: true, ...(entry.dev && { dev: true }), ...platform }
    added += 1
  }
}

lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
process.stdout.write(`package-lock.json: ${Object.keys(lock.packages).length} packages, ${added} added\n`)
