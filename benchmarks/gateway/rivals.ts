import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { freePort } from '../measure/child.ts'
import { connect, startProgram, type Contender } from './harness.ts'

/** Installed once, outside the repository: they never enter the product's tree. */
const cache = path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'tokenmill', 'rivals')

/** Other gateways, as far as they install here; one that does not is named with the reason. */
export async function startRivals(folder: string, upstreamUrl: string): Promise<Contender[]> {
  const started: Contender[] = []
  for (const [name, start] of Object.entries({ Portkey: startPortkey, LiteLLM: startLiteLlm, SMG: startSmg })) {
    try {
      started.push(await start(folder, upstreamUrl))
    } catch (error) {
      console.log(
        `${name} is not in the table: ${error instanceof Error ? error.message.slice(0, 500) : String(error)}`,
      )
    }
  }
  return started
}

async function startPortkey(_folder: string, upstreamUrl: string): Promise<Contender> {
  const home = path.join(cache, 'portkey')
  const program = path.join(home, 'node_modules/@portkey-ai/gateway/build/start-server.js')
  if (!existsSync(program)) {
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefix', home, '@portkey-ai/gateway@1.15.2'], {
      stdio: 'pipe',
    })
  }
  const port = await freePort()
  const started = await startListening('Portkey', [program, `--port=${port}`, '--headless'], port)
  const headers = {
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `${upstreamUrl}/v1`,
    authorization: 'Bearer x',
  }
  return connect('Portkey', started, headers)
}

/** Checked as ours is; LiteLLM does not start without one. */
const masterKey = 'sk-bench-4f1c2a90d7e84b6395aa'

async function startLiteLlm(folder: string, upstreamUrl: string): Promise<Contender> {
  const { program, python } = installFromPyPi('litellm', 'litellm[proxy]')
  const config = path.join(folder, 'litellm.yaml')
  writeFileSync(
    config,
    `model_list: [{model_name: chat, litellm_params: {model: openai/org/model, api_base: "${upstreamUrl}/v1", api_key: x}}]\n` +
      `general_settings: {master_key: ${masterKey}}\n`,
  )
  const port = await freePort()
  const parameters = [program, '--config', config, '--port', String(port), '--host', '127.0.0.1', '--num_workers', '1']
  const started = await startListening('LiteLLM', parameters, port, python)
  return connect('LiteLLM', started, { authorization: `Bearer ${masterKey}` })
}

/** Shepherd Model Gateway, SGLang's router in Rust; it checks no key here. It learns of its worker some seconds after it listens. */
async function startSmg(_folder: string, upstreamUrl: string): Promise<Contender> {
  const { program, python } = installFromPyPi('smg', 'smg==1.13.0')
  const [port, metricsPort] = [await freePort(), await freePort()]
  const listen = ['--host', '127.0.0.1', '--port', String(port), '--prometheus-port', String(metricsPort)]
  const models = ['--worker-urls', upstreamUrl, '--policy', 'round_robin', '--model-alias', 'chat=org/model']
  const parameters = [program, 'launch', ...listen, ...models, '--log-level', 'info']
  const started = await startListening('SMG', parameters, port, python)
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 1 })
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 500) {
    const response = await fetch(`${started.url}/v1/chat/completions`, { method: 'POST', headers, body })
    await response.body?.cancel()
    if (response.status === 200) return connect('SMG', started, headers)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  throw new Error(`SMG found no worker: ${started.child.output.slice(-400)}`)
}

/** A virtual environment of its own, made once. */
function installFromPyPi(name: string, requirement: string): { readonly program: string; readonly python: string } {
  const home = path.join(cache, name)
  const program = path.join(home, 'bin', name)
  if (!existsSync(program)) {
    execFileSync('python3', ['-m', 'venv', home], { stdio: 'pipe' })
    execFileSync(path.join(home, 'bin/pip'), ['install', '--quiet', requirement], { stdio: 'pipe' })
  }
  return { program, python: path.join(home, 'bin/python') }
}

/** Starts a program that prints no address; waits until its port answers. */
async function startListening(name: string, parameters: readonly string[], port: number, command = process.execPath) {
  const url = `http://127.0.0.1:${port}`
  const echo = await startProgram(name, ['-c', `echo ${url}; exec "$0" "$@"`, command, ...parameters], '/bin/sh')
  for (let waitedMs = 0; waitedMs < 120_000; waitedMs += 200) {
    const answers = await fetch(url).then(
      () => true,
      () => false,
    )
    if (answers) return { child: echo.child, url }
    if (!echo.child.isAlive) break
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error(`${name} did not start: ${echo.child.output.slice(-400)}`)
}
