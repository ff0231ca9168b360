import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'

/** Kept out of git: sources and builds of rivals, generated models. */
export const cacheFolder = path.resolve(import.meta.dirname, '../.cache')

/**
 * The path of llama-server, built once from the source bundle inside the `node-llama-cpp` package: the same
 * llama.cpp release as the prebuilt libraries. Needs git, cmake and a C++ compiler; takes some ten minutes on two cores.
 */
export function buildLlamaServer(): string {
  const build = path.join(cacheFolder, 'llama-build')
  const binary = path.join(build, 'bin/llama-server')
  if (existsSync(binary)) return binary
  mkdirSync(cacheFolder, { recursive: true })
  const source = path.join(cacheFolder, 'llama.cpp')
  const run = (command: string, ...parameters: string[]) =>
    execFileSync('nice', ['-n', '10', command, ...parameters], { stdio: ['ignore', 'ignore', 'inherit'] })
  const bundle = path.resolve(import.meta.dirname, '../node_modules/node-llama-cpp/llama/gitRelease.bundle')
  if (!existsSync(source)) run('git', 'clone', '--quiet', bundle, source)
  const switches = ['TESTS', 'EXAMPLES', 'APP', 'UI'].map((part) => `-DLLAMA_BUILD_${part}=OFF`)
  const plain = ['-DCMAKE_BUILD_TYPE=Release', '-DLLAMA_USE_PREBUILT_UI=OFF', '-DLLAMA_OPENSSL=OFF', '-DGGML_NATIVE=ON']
  run('cmake', '-S', source, '-B', build, ...plain, ...switches)
  run('cmake', '--build', build, '--target', 'llama-server', '-j', String(availableParallelism()))
  return binary
}
