import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Authority } from '../../tests/support/certificates.ts'
import { TokenmillError } from '../core/index.ts'
import { parseConfig } from './load.ts'
import { showConfig } from './show.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'tokenmill-config-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = path.join(folder, 'tokenmill.yaml')

const parse = (text: string, env: Record<string, string> = {}) => parseConfig(text, file, env)

function problems(text: string, env: Record<string, string> = {}): string[] {
  try {
    parse(text, env)
  } catch (error) {
    if (!(error instanceof TokenmillError)) throw error
    expect(error.code).toBe('startup')
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.replace(`${file}:`, ''))
  }
  throw new Error('no problem was found')
}

const small = `
models:
  - name: chat
    endpoints:
      - url: http://10.0.0.7:8000
`

describe('parseConfig()', () => {
  it('fills the smallest file with defaults, and freezes what comes out', () => {
    const { value } = parse(small)
    expect(value.models[0]).toEqual({
      name: 'chat',
      endpoints: [{ url: 'http://10.0.0.7:8000', engine: 'auto', headers: {}, weight: 1, priority: false, labels: {} }],
      fallbacks: [],
      adapters: {},
      timeouts: {},
      retries: {},
    })
    expect(() => Object.assign(value.models[0] ?? {}, { name: 'x' })).toThrow(TypeError)
  })

  it('tells every problem at once, each with its line and column', () => {
    const text = `listen:
  port: 99999
  hots: example
models:
  - name: a
    endpoints:
      - url: ftp://nope
        weigth: 2
      - engine: embedded
      - url: http://me:pass@10.0.0.7:8000
      - url: http://10.0.0.7:8000/v1?key=1
        apiKey: {file: missing.key}
    fallbacks: [b, a]
    timeouts:
      firstTokenMs: soon
  - name: a
    endpoints: []
apiKeys:
  - name: me
    hash: sk-plaintext
`
    const found = problems(text)
    const at = (place: string, words: RegExp) =>
      expect(
        found.some((line) => line.startsWith(place) && words.test(line)),
        `${place} ${words} in\n${found.join('\n')}`,
      ).toBe(true)
    at('2:3 listen.port:', /65535/)
    at('3:3 listen.hots:', /no setting/)
    at('7:9 models[0].endpoints[0].url:', /address/)
    at('8:9 models[0].endpoints[0].weigth:', /no setting/)
    at('10:9 models[0].endpoints[2].url:', /no user or password/)
    at('11:9 models[0].endpoints[3].url:', /no secret in its query/)
    at('12:9 models[0].endpoints[3].apiKey:', /missing\.key cannot be read/)
    at('13:17 models[0].fallbacks[0]:', /no model of this file/)
    at('13:20 models[0].fallbacks[1]:', /the model itself/)
    at('15:7 models[0].timeouts.firstTokenMs:', /duration/)
    at('16:5 models[1].name:', /names two models/)
    at('17:5 models[1].endpoints:', /at least one/)
    at('20:5 apiKeys[0].hash:', /no hash of a key/)
    expect(found.join()).not.toContain('pass@')
    expect(found.length).toBe(14)
  })

  it('checks what only the whole file shows: names, fallbacks, engines without address', () => {
    const text = `${small}  - name: chat
    endpoints: [{engine: embedded}]
    fallbacks: [chat, other]
`
    expect(problems(`models: [{name: x, endpoints: [{engine: embedded}]}]`).join()).toMatch(/model: is missing/)
    expect(problems(text.replace('engine: embedded', 'url: "http://b"')).join('\n')).toMatch(
      /6:.*names two models[^]*fallbacks\[0\]: is the model itself[^]*fallbacks\[1\]: 'other' is no model/,
    )
  })

  it('refuses an endpoint that stands twice, and takes other keys or models at one address', () => {
    const twice = (second: string) => `models:
  - name: chat
    endpoints:
      - {url: http://a:1, engine: vllm}
      - {${second}}
`
    expect(problems(twice('engine: vllm, url: http://a:1/v1/, weight: 2'))).toEqual([
      '5:9 models[0].endpoints[1]: is the same as endpoints[0]; for a greater share set its weight',
    ])
    expect(parse(twice('engine: vllm, url: http://a:1, apiKey: other')).value.models).toHaveLength(1)
    expect(parse(twice('engine: vllm, url: http://a:1, model: lora')).value.models).toHaveLength(1)
  })

  it('points at broken YAML', () => {
    expect(problems('models: [{name: ${NAME}}]')[0]).toBe('1:18 within { } or [ ] a variable needs quotes: "${NAME}"')
    expect(problems('models:\n  - name: "x\n')[0]).toMatch(/^\d+:\d+ /)
    expect(problems('models: []\nmodels: []\n')[0]).toMatch(/^2:1 .*unique/)
  })

  it('puts variables in, with a fallback and an escape, and names those that are not set', () => {
    const text = `
listen:
  port: \${PORT}
  host: \${HOST:-127.0.0.1}
models:
  - name: "\${A}-\${A} $\${B}"
    endpoints:
      - url: http://h
        weight: \${W}
`
    const { value } = parse(text, { PORT: '9000', A: 'm', W: '2' })
    expect(value.listen).toMatchObject({ port: 9000, host: '127.0.0.1' })
    expect(value.models[0]?.name).toBe('m-m ${B}')
    expect(value.models[0]?.endpoints[0]?.weight).toBe(2)
    expect(problems(text, { PORT: '9000' })).toEqual([
      expect.stringMatching(/^6:.*variable A is not set/) as string,
      expect.stringMatching(/^6:.*variable A is not set/) as string,
      expect.stringMatching(/^9:.*variable W is not set/) as string,
    ])
  })

  it('does not take a value from the environment for YAML', () => {
    const { value } = parse(`models: [{name: "\${N}", endpoints: [{url: "http://h"}]}]`, { N: 'x", endpoints: []}]' })
    expect(value.models).toHaveLength(1)
    expect(value.models[0]?.name).toBe('x", endpoints: []}]')
  })

  it('reads secrets from text, variable and file, and never says one', () => {
    writeFileSync(path.join(folder, 'key'), 'sk-from-file\n')
    const text = `models:
  - name: a
    endpoints:
      - {url: "http://a", apiKey: "\${K}", headers: {x-team: {env: K}}}
      - {url: "http://b", apiKey: {file: key}}
`
    const config = parse(text, { K: 'sk-from-env' })
    const [first, second] = config.value.models[0]?.endpoints ?? []
    expect(first?.apiKey === undefined ? '' : config.secret(first.apiKey)).toBe('sk-from-env')
    expect(config.secret(first?.headers['x-team'] ?? '')).toBe('sk-from-env')
    expect(second?.apiKey === undefined ? '' : config.secret(second.apiKey)).toBe('sk-from-file')
    expect(config.secretFiles).toEqual([path.join(folder, 'key')])

    const shown = showConfig(config)
    expect(JSON.stringify(shown)).not.toMatch(/sk-from/)
    expect(JSON.stringify(config.value)).not.toMatch(/sk-from-file/)
    expect(shown).toContainEqual({
      path: 'models[0].endpoints[0].apiKey',
      value: '(secret)',
      source: `${file}:4 from $K`,
    })
    expect(shown).toContainEqual({ path: 'models[0].endpoints[1].apiKey', value: '(secret)', source: `${file}:5` })
    expect(shown).toContainEqual({ path: 'models[0].endpoints[1].weight', value: '1', source: 'default' })
    expect(shown.find(({ path }) => path === 'limits.firstTokenMs')).toMatchObject({
      value: '60000',
      source: 'default',
    })

    expect(problems(text.replace('file: key', 'file: absent'))[0]).toMatch(/variable K is not set/)
    expect(problems(text.replace('file: key', 'file: absent'), { K: 'sk-x' }).join()).toMatch(
      /5:.*apiKey: the file .*absent cannot be read \(ENOENT\)/,
    )
  })

  it('takes the limits of every room under their own names', () => {
    const { value } = parse(
      `${small}limits: {maxBodyBytes: 10MB, firstTokenMs: 5s, maxQueue: 7, connectMs: 300, maxTools: 3, logLevel: warn}`,
    )
    expect(value.limits).toEqual({
      maxBodyBytes: 10_000_000,
      firstTokenMs: 5000,
      maxQueue: 7,
      connectMs: 300,
      maxTools: 3,
      logLevel: 'warn',
    })
  })

  it('says in plain words what is wrong, and never shows a stack', () => {
    const cases: readonly (readonly [text: string, message: RegExp])[] = [
      ['', /^1:1 is empty; `tokenmill config init`/],
      ['# nothing\n', /is empty/],
      ['modles: []\nmodels: []', /modles: is no setting here; did you mean models\?/],
      [`${small}    placment: x`, /placment: .* did you mean placement\?/],
      [`${small}    placement: best`, /placement: must be one of round-robin, least-in-flight/],
      ['models: {}', /models: must be a list/],
      ['just text', /must be a group of settings/],
      [`${small}limits: {maxInFlight: many}`, /maxInFlight: must be a number/],
      [`${small}        weight: 0`, /weight: must be more than 0/],
      [`${small}listen: {port: 70000}`, /port: must be at most 65535/],
      [`${small}        headers: {"X-A\\r\\nB": c}`, /headers\."X-A\\r\\nB": must be a header name/],
      ['models: [{name: "a\\r\\nb", endpoints: [{url: "http://a"}]}]', /name: must have no line end/],
      ['models: [{name: " a", endpoints: [{url: "http://a"}]}]', /name: must not begin or end with a space/],
      [`a: ${'['.repeat(100_000)}`, /is nested too deeply/],
      [
        `models: [{name: a, endpoints: [{url: "127.0.0.1:80"}]}]`,
        /^\S+ models\[0\]\.endpoints\[0\]\.url: must be an address/,
      ],
    ]
    for (const [text, message] of cases) {
      const found = problems(text)
      expect(
        found.some((line) => message.test(line)),
        `${text.slice(0, 80)}\n${found.join('\n')}`,
      ).toBe(true)
      expect(found.join('\n')).not.toMatch(/Invalid|expected|received|\n\s+at /)
    }
    expect(problems(cases.at(-1)?.[0] ?? '')).toHaveLength(1)
  })

  it('checks certificates and keys as TLS would, and that header values have no line end', () => {
    const authority = new Authority('test')
    const [a, b] = [authority.issue('a'), authority.issue('b')]
    const write = (name: string, text: string): string => {
      writeFileSync(path.join(folder, name), text)
      return `{file: ${name}}`
    }
    const [cert, key, other] = [write('a.pem', a.cert), write('a.key', a.key), write('b.key', b.key)]
    const listen = (tls: string): string => `${small}listen: {tls: {${tls}}}`
    expect(
      parse(listen(`cert: ${cert}, key: ${key}, clientCa: ${write('ca.pem', authority.cert)}`)).value,
    ).toBeDefined()
    const wrong = write('wrong.pem', 'no certificate')
    expect(problems(listen(`cert: ${wrong}, key: ${wrong}`))).toEqual([
      expect.stringMatching(/listen\.tls\.cert: is no certificate/),
      expect.stringMatching(/listen\.tls\.key: is no private key/),
    ])
    expect(problems(listen(`cert: ${cert}, key: ${other}`)).join()).toMatch(/key: is not the key of the certificate/)
    expect(problems(`${small}        tls: {key: ${key}}`).join()).toMatch(/tls\.key: has no `cert` beside it/)
    expect(problems(`${small}        tls: {ca: ${wrong}}`).join()).toMatch(/tls\.ca: is no certificate/)
    const environment = { K: 'sk-with-line-end\r\n' }
    for (const setting of ['apiKey: {env: K}', 'headers: {x-key: "${K}"}']) {
      const found = problems(`${small}        ${setting}`, environment)
      expect(found).toEqual([expect.stringMatching(/has a line end, which no header can carry/)])
      expect(found.join()).not.toContain('sk-with')
    }
  })

  it('survives a file that unfolds into a million aliases', () => {
    const bomb = `a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c]\n`
    expect(problems(bomb)).toEqual([expect.stringMatching(/^4:.*aliases .* more than 100 copies; write them out/)])
  })
})

describe('an endpoint of Triton', () => {
  const endpoint = (fields: string): string => `
models:
  - name: chat
    endpoints:
      - {${fields}}
`

  it('is told by its address, and takes a chat template from a file', () => {
    writeFileSync(path.join(folder, 'template.jinja'), '{{ messages }}')
    const config = parse(
      endpoint(
        'url: "grpc://10.0.0.7:8001", chatTemplate: {file: template.jinja}, metricsUrl: "http://10.0.0.7:8002/metrics"',
      ),
    )
    const { chatTemplate } = config.value.models[0]?.endpoints[0] ?? {}
    expect(chatTemplate === undefined ? '' : config.secret(chatTemplate)).toBe('{{ messages }}')
    expect(config.secretFiles).toEqual([path.join(folder, 'template.jinja')])
  })

  it('has settings that no other engine has, and must name what is to be loaded', () => {
    expect(problems(endpoint('url: "http://a", chatTemplate: x'))).toEqual([
      '5:27 models[0].endpoints[0].chatTemplate: has a meaning only for `engine: triton`',
    ])
    expect(problems(endpoint('url: "grpc://a:8001", engine: vllm'))).toEqual([
      '5:10 models[0].endpoints[0].url: speaks gRPC, which only `engine: triton` does',
    ])
    expect(problems(endpoint('url: "grpc://a:8001", repository: load'))).toEqual([
      '5:9 models[0].endpoints[0].model: is missing: the model that Triton is to load',
    ])
  })
})

describe('an endpoint of a provider', () => {
  const endpoint = (fields: string) => `models:\n  - name: x\n    endpoints:\n      - {${fields}}\n`

  it('may have a base URL with a path and a query of its own, and needs no url where its provider has one', () => {
    for (const fields of [
      'url: "https://r.example.com/openai/deployments/gpt-4o?api-version=2024-10-21", provider: azure',
      'url: "https://generativelanguage.googleapis.com/v1beta/openai"',
      'provider: gemini',
    ]) {
      expect(() => parse(endpoint(fields)), fields).not.toThrow()
    }
  })

  it('must name its address where that is its own, and speaks nothing but its own API', () => {
    expect(problems(endpoint('provider: azure')).join()).toMatch(/url: is missing/)
    expect(problems(endpoint('provider: gemini, engine: vllm')).join()).toMatch(/only for `engine: openai`/)
  })
})
