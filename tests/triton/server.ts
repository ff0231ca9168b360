import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { runVariable } from '../../scripts/run-guard.ts'

/**
 * A real Triton server for tests, without a container: the wheel of nvidia-pytriton brings the server and its Python
 * backend, and CPUs suffice. The wheel and numpy (some 75 MB) are fetched from PyPI once and kept in the user's cache.
 */
export interface TestTriton {
  readonly grpcUrl: string
  readonly httpUrl: string
  readonly metricsUrl: string
  readonly process: ChildProcess
  /** What its models noted of each request: `id outcome tokens`. */
  readonly notes: () => readonly string[]
  stop(): Promise<void>
}

/** PEM texts: its own certificate, and the one that must have signed those of its gRPC clients. */
export interface TritonTls {
  readonly cert: string
  readonly key: string
  readonly clientCa: string
}

const pytriton = 'nvidia-pytriton==0.7.0'
const pytritonHash = 'sha256:21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df'
const numpy = 'numpy==1.26.4'

/** Why no Triton can run on this machine, whatever is installed; undefined where one can. */
export const tritonUnfit =
  process.platform === 'linux' && process.arch === 'x64'
    ? undefined
    : `the wheel of Triton is for linux-x64, this is ${process.platform}-${process.arch}`

const run = promisify(execFile)

/** Starts it with every model of tests/triton/models but `shelved`. Throws with its log where it does not come up. */
export async function startTriton(tls?: TritonTls): Promise<TestTriton> {
  const { python, packages } = await install()
  const folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-triton-'))
  const stub = path.join(
    packages,
    'pytriton/tritonserver/python_backend_stubs',
    python.version,
    'triton_python_backend_stub',
  )
  const backend = path.join(folder, 'backends/python')
  await mkdir(backend, { recursive: true })
  for (const file of ['libtriton_python.so', 'triton_python_backend_utils.py']) {
    await symlink(path.join(packages, 'pytriton/tritonserver/backends/python', file), path.join(backend, file))
  }
  // The backend's own folder is the one place where its interpreter surely looks.
  for (const folder of ['numpy', 'numpy.libs']) await symlink(path.join(packages, folder), path.join(backend, folder))
  await cp(stub, path.join(backend, 'triton_python_backend_stub'))
  await chmod(path.join(backend, 'triton_python_backend_stub'), 0o755)
  const log = path.join(folder, 'mill.log')
  await writeFile(log, '')
  // A copy: Python leaves its caches beside the models.
  const models = path.join(folder, 'models')
  await cp(path.join(import.meta.dirname, 'models'), models, { recursive: true })
  const ports = await freePorts()
  const memoryPrefix = `${path.basename(folder)}-`
  const child = spawn(
    path.join(packages, 'pytriton/tritonserver/bin/tritonserver'),
    [
      ...serverArguments(models, path.join(folder, 'backends'), memoryPrefix, ports),
      ...(tls === undefined ? [] : await tlsArguments(folder, tls)),
    ],
    {
      env: {
        PATH: `${path.dirname(python.path)}:${process.env['PATH'] ?? ''}`,
        PYTHONDONTWRITEBYTECODE: '1',
        LD_LIBRARY_PATH: `${python.libraries}:${path.join(packages, 'nvidia_pytriton.libs')}`,
        MILL_LOG: log,
        [runVariable]: process.env[runVariable],
      },
      // A process group of its own: its Python stubs outlive it, and are ended by their group.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let said = ''
  const hear = (piece: Buffer): void => void (said = `${said}${piece.toString()}`.slice(-20_000))
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      const hurry = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await gone
      clearTimeout(hurry)
    }
    endGroup(child.pid)
    await removeSharedMemory(memoryPrefix)
    await rm(folder, { recursive: true, force: true })
  }
  const httpUrl = `http://127.0.0.1:${ports.http}`
  const giveUpAtMs = Date.now() + 180_000
  for (;;) {
    const ready = await fetch(`${httpUrl}/v2/health/ready`).then(
      ({ status }) => status === 200,
      () => false,
    )
    if (ready) break
    if (child.exitCode !== null || Date.now() > giveUpAtMs) {
      await stop()
      throw new Error(`Triton did not come up:\n${said}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    grpcUrl: `grpc${tls === undefined ? '' : 's'}://127.0.0.1:${ports.grpc}`,
    httpUrl,
    metricsUrl: `http://127.0.0.1:${ports.metrics}/metrics`,
    process: child,
    notes: () => readFileSync(log, 'utf8').split('\n').filter(Boolean),
    stop,
  }
}

/** Ends what is left of a process group. */
function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL')
  } catch {
    // Nothing is left.
  }
}

/** Regions that a stub shared with its server: a process that was killed leaves its own behind. */
async function removeSharedMemory(prefix: string): Promise<void> {
  const memory = '/dev/shm'
  const regions = (await readdir(memory)).filter((name) => name.startsWith(prefix))
  await Promise.all(regions.map((name) => rm(path.join(memory, name), { force: true })))
}

async function tlsArguments(folder: string, { cert, key, clientCa }: TritonTls): Promise<string[]> {
  const write = async (name: string, text: string): Promise<string> => {
    const file = path.join(folder, name)
    await writeFile(file, text)
    return file
  }
  return [
    ['--grpc-use-ssl', '1', '--grpc-use-ssl-mutual', '1'],
    ['--grpc-server-cert', await write('server.pem', cert), '--grpc-server-key', await write('server.key', key)],
    ['--grpc-root-cert', await write('ca.pem', clientCa)],
  ].flat()
}

type Ports = Record<'http' | 'grpc' | 'metrics', number>

function serverArguments(models: string, backends: string, memoryPrefix: string, ports: Ports): string[] {
  const loaded = ['vllm_chat', 'llmapi', 'ensemble', 'ensemble_whole']
  return [
    ['--model-repository', models],
    ['--backend-directory', backends],
    ['--backend-config', `python,shm-region-prefix-name=${memoryPrefix}`],
    ...Object.entries(ports).flatMap(([name, port]) => [
      [`--${name}-address`, '127.0.0.1'],
      [`--${name}-port`, String(port)],
    ]),
    ['--model-control-mode', 'explicit'],
    ...loaded.map((name) => ['--load-model', name]),
    ['--exit-timeout-secs', '2'],
  ].flat()
}

interface Python {
  readonly path: string
  /** `3.11`: names the stub. */
  readonly version: string
  /** Folder of libpython. */
  readonly libraries: string
}

/** The packages in the cache, fetched if they are not there yet. Throws where that cannot be. */
async function install(): Promise<{ python: Python; packages: string }> {
  const python = await findPython()
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache')
  const packages = path.join(cache, 'tokenmill', `triton-${pytriton.split('==')[1] ?? ''}-py${python.version}`)
  if (existsSync(packages)) return { python, packages }
  await mkdir(path.dirname(packages), { recursive: true })
  const fresh = await mkdtemp(`${packages}-`)
  const list = path.join(fresh, 'requirements.txt')
  await writeFile(list, `${pytriton} --hash=${pytritonHash}\n`)
  const pip = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-input',
    '--no-deps',
    '--only-binary',
    ':all:',
    '--target',
    fresh,
  ]
  try {
    await run(python.path, [...pip, '--require-hashes', '-r', list], { timeout: 240_000 })
    await run(python.path, [...pip, numpy], { timeout: 120_000 })
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    const why = error instanceof Error ? error.message.slice(-600) : String(error)
    throw new Error(`The real Triton server could not be installed; its tests need PyPI once.\n${why}`, {
      cause: error,
    })
  }
  // Several test files may come here at once: the first stays.
  await rename(fresh, packages).catch(() => rm(fresh, { recursive: true, force: true }))
  return { python, packages }
}

/** A Python for which the wheel has a stub and numpy 1 a wheel, with pip and a shared library of its own. */
async function findPython(): Promise<Python> {
  const question =
    'import sys, sysconfig, pip; v = sysconfig.get_config_var; ' +
    'print(sys.executable, "%d.%d" % sys.version_info[:2], v("LIBDIR"), v("INSTSONAME"))'
  const tried: string[] = []
  for (const name of ['python3', 'python3.11', 'python3.12', 'python3.10', '/usr/bin/python3']) {
    const answer = await run(name, ['-c', question]).catch(() => undefined)
    const [executable, version, libraries, library] = answer?.stdout.trim().split(' ') ?? []
    if (executable === undefined || version === undefined || libraries === undefined) continue
    const found = [libraries, path.join(libraries, 'x86_64-linux-gnu')].find((folder) =>
      existsSync(path.join(folder, `libpython${version}.so.1.0`)),
    )
    tried.push(`${executable} (${version}, ${library ?? 'no library'})`)
    if (found !== undefined && ['3.9', '3.10', '3.11', '3.12'].includes(version)) {
      return { path: executable, version, libraries: found }
    }
  }
  throw new Error(
    `The real Triton server needs Python 3.9 to 3.12 with pip and its shared library. Found: ${tried.join(', ') || 'none'}.`,
  )
}

/** Three ports that nobody holds now. */
async function freePorts(): Promise<Ports> {
  const servers = await Promise.all(
    [0, 1, 2].map(
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer().listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  const [http = 0, grpc = 0, metrics = 0] = ports
  return { http, grpc, metrics }
}
