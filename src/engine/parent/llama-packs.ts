import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { TokenmillError } from '../../core/index.ts'

/** Packs in order of preference: an installed GPU pack was installed for a reason. */
export function packNames(platform: string, arch: string): readonly string[] {
  if (platform === 'linux') {
    const gpu = arch === 'x64' ? [`linux-x64-cuda`, `linux-x64-vulkan`] : []
    return [...gpu, `linux-${arch}`]
  }
  if (platform === 'darwin') return [arch === 'arm64' ? 'mac-arm64-metal' : 'mac-x64']
  if (platform === 'win32') return [...(arch === 'x64' ? ['win-x64-cuda', 'win-x64-vulkan'] : []), `win-${arch}`]
  return []
}

/**
 * Folder of the shared libraries in the first installed pack for this platform, looked for in every `node_modules`
 * from `from` upwards. Throws `startup` where there is none.
 */
export function findPackFolder(from: string, platform: string = process.platform, arch: string = process.arch): string {
  const names = packNames(platform, arch)
  for (const name of names) {
    for (let folder = from; ; folder = path.dirname(folder)) {
      const bins = path.join(folder, 'node_modules', '@node-llama-cpp', name, 'bins')
      if (existsSync(bins)) {
        const variant = readdirSync(bins).find((entry) => !entry.startsWith('_'))
        if (variant !== undefined) return path.join(bins, variant)
      }
      if (path.dirname(folder) === folder) break
    }
  }
  throw new TokenmillError(
    'startup',
    `No llama.cpp libraries for ${platform}-${arch} are installed. Run 'npm install' with optional dependencies, or install one of: ` +
      `${names.map((name) => `@node-llama-cpp/${name}`).join(', ') || '(none exist for this platform)'}.`,
  )
}
