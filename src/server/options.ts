import { z } from 'zod'
import { defineOptions, parseBytes, parseDurationMs } from '../core/index.ts'

const count = z.coerce.number().int().min(1)
const bytes = z
  .union([z.number(), z.string().transform((text) => parseBytes(text) ?? Number.NaN)])
  .pipe(z.number({ error: 'must be bytes, such as 10MB' }).int().min(1))
const duration = z
  .union([z.number(), z.string().transform((text) => parseDurationMs(text) ?? Number.NaN)])
  .pipe(z.number({ error: 'must be a duration, such as 500ms or 30s' }).min(1))

/**
 * An origin as browsers and apps send it (`https://app.example`, `app://obsidian.md`), in lower case and without a default
 * port; undefined for other texts. URL.origin knows web schemes alone: for an app's it is `null`, which any sandboxed
 * page sends too.
 */
export function parseOrigin(text: string): string | undefined {
  const [, scheme, host] = /^([a-z][a-z\d+.-]*):\/\/([^/?#@\s]+)\/?$/i.exec(text) ?? []
  if (scheme === undefined || host === undefined) return undefined
  const web = /^https?$/i.test(scheme)
  return web ? URL.parse(text)?.origin : `${scheme}://${host}`.toLowerCase()
}

const originHelp = 'must be an origin without a path, such as https://app.example or app://obsidian.md; * allows all'
const origin = z
  .string()
  .transform((text) => (text === '*' ? text : (parseOrigin(text) ?? '')))
  .pipe(z.string().min(1, originHelp))

/** `path` or `path:scale`; the path may be a hub's reference, which has colons of its own. */
export function parseAdapterFile(text: string): { readonly path: string; readonly scale: number } {
  const [, path = text, scale] = /^(.+?)(?::(-?\d+(?:\.\d+)?))?$/.exec(text) ?? []
  return { path, scale: Number(scale ?? 1) }
}

const adapter = z
  .string()
  .regex(/^[^=]+=.+$/, 'must be name=path, or name=path:scale')
  .transform((text) => {
    const at = text.indexOf('=')
    return { name: text.slice(0, at), ...parseAdapterFile(text.slice(at + 1)) }
  })

/** Which models the server offers, and under what names. */
export const modelOptions = defineOptions({
  model: {
    schema: z.string().min(1),
    default: [],
    value: '<path>',
    help: 'GGUF file, or hf:owner/repository, to serve; several may be given (default: the bundled nano model)',
    repeatable: true,
  },
  servedModelName: {
    schema: z.string().min(1),
    default: [],
    value: '<name>',
    help: "Name that clients ask for (default: the file's name); with one model, more names are aliases; with several, one name each, in order",
    repeatable: true,
  },
  lora: {
    schema: adapter,
    default: [],
    value: '<name=path[:scale]>',
    help: 'LoRA adapter (GGUF) of the model, offered as a model of this name; several may be given',
    reason: 'all adapters of a model share its weights, slots and KV cells',
    repeatable: true,
  },
})

/** Where the server listens, who may call it, and what one connection may take. */
export const serverOptions = defineOptions({
  host: {
    schema: z.string().min(1),
    default: '127.0.0.1',
    value: '<address>',
    help: 'Address to listen on',
    reason: 'Loopback until somebody decides otherwise: an open port without keys is found within hours',
  },
  port: {
    schema: z.coerce.number().int().min(0).max(65_535),
    default: 8080,
    value: '<port>',
    help: 'Port to listen on; 0 takes a free one',
  },
  apiKey: {
    schema: z
      .string()
      .min(8, 'must have at least 8 characters')
      .regex(
        /^[\x21-\x7e]+$/,
        'must be one word of ASCII characters: no space, no line end (a file with CR LF has one)',
      ),
    default: [],
    value: '<key>',
    help: 'Key that clients must send as Bearer token or x-api-key; several may be given, and TOKENMILL_API_KEY is one',
    repeatable: true,
    secret: true,
  },
  insecure: {
    schema: z.boolean(),
    default: false,
    help: 'Listen beyond loopback without any API key',
    reason: 'It has to be said aloud: whoever reaches the port can use the machine',
  },
  corsOrigin: {
    schema: origin,
    default: [],
    value: '<origin>',
    help: 'Origin of web pages, or of an app (app://…), that may call from a browser; several may be given, * allows all',
    repeatable: true,
  },
  allowedHost: {
    schema: z.string().min(1),
    default: [],
    value: '<name>',
    help: 'Further Host names to answer to, beside the loopback ones',
    reason: 'A web page can point its own name at loopback (DNS rebinding); the Host header tells it apart',
    repeatable: true,
  },
  maxBodyBytes: {
    schema: bytes,
    default: 16 * 1024 * 1024,
    value: '<bytes>',
    help: 'Largest request body',
    reason: 'A million tokens of text are about 4 MB; held in memory while parsed',
    unit: 'bytes',
  },
  maxConnections: {
    schema: count,
    default: 4096,
    value: '<n>',
    help: 'Most open connections; further ones are closed at once',
    reason: 'Each costs some 20 KB and a file descriptor',
    unit: 'connections',
  },
  requestTimeoutMs: {
    schema: duration,
    default: 60_000,
    value: '<duration>',
    help: 'Longest time to receive a whole request',
    reason: 'A client that sends a byte a minute must not hold a connection for ever',
    unit: 'ms',
  },
  headerFlushMs: {
    schema: duration,
    default: 1000,
    value: '<duration>',
    help: 'After this long without a token, a stream opens with status 200 and a comment',
    reason: 'Until then an error keeps its own status; after it, clients and proxies see that somebody works',
    unit: 'ms',
  },
  pingIntervalMs: {
    schema: duration,
    default: 10_000,
    value: '<duration>',
    help: 'Longest silence on an open answer before a comment (SSE) or whitespace (JSON) is written',
    reason: 'Clients drop connections that are silent for minutes; proxies after 15 to 60 s',
    unit: 'ms',
  },
  maxWriteStallMs: {
    schema: duration,
    default: 60_000,
    value: '<duration>',
    help: 'Longest time that a client may not read; then its request is cancelled',
    reason: 'Its sequence holds a place at the engine meanwhile',
    unit: 'ms',
  },
  memorySaver: {
    schema: z.boolean(),
    default: true,
    help: 'Let the heap grow as it likes: 60 MB more, a third less CPU for a request',
    reason: 'A server beside its engine needs the memory more; a gateway in front of many engines the CPU',
  },
  exposeUpstreamErrors: {
    schema: z.boolean(),
    default: false,
    help: 'Send clients the words in which endpoints fail, addresses included',
    reason:
      'They can quote keys, prompts and internal addresses; by default clients get our own words and the request id',
  },
  drainMs: {
    schema: duration,
    default: 30_000,
    value: '<duration>',
    help: 'After SIGTERM, how long running requests may take to finish',
    reason: "Kubernetes' default grace period",
    unit: 'ms',
  },
})
