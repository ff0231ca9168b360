import { z } from 'zod'
import type { OptionTable } from '../core/index.ts'
import { engineOptions } from '../engine/options.ts'
import { protocolOptions } from '../protocol/options.ts'
import { fleetOptions, placementNames, schedulerOptions } from '../scheduler/options.ts'
import { serverOptions } from '../server/options.ts'
import { telemetryOptions } from '../telemetry/options.ts'
import { providerNames, providerUrls, upstreamOptions } from '../upstream/options.ts'

/** One field of a section made of options: checked by the option's own schema, described by its help. */
function fieldsOf<const Table extends OptionTable, const Name extends keyof Table & string>(
  table: Table,
  names: readonly Name[],
): { [Key in Name]: z.ZodOptional<Table[Key]['schema']> } {
  const fields = names.map((name) => {
    const option = table[name]
    if (option === undefined) throw new RangeError(`There is no option '${name}'.`)
    const unit = option.unit === undefined ? '' : `, in ${option.unit}`
    const usual = option.default === undefined ? '' : ` Default: ${JSON.stringify(option.default)}.`
    const why = option.reason === undefined ? '' : ` ${option.reason}.`
    return [name, option.schema.optional().describe(`${option.help}${unit}.${usual}${why}`)]
  })
  return Object.fromEntries(fields) as { [Key in Name]: z.ZodOptional<Table[Key]['schema']> }
}

const keysOf = <Table extends OptionTable>(table: Table) => Object.keys(table) as (keyof Table & string)[]

/** A secret: the text itself (best as `${NAME}`), or where it stands. */
export const secretSchema = z
  .union([
    z.string().min(1),
    z.strictObject({ env: z.string().min(1).describe('Environment variable that holds it.') }),
    z.strictObject({ file: z.string().min(1).describe('File that holds it, relative to this one.') }),
  ])
  .describe('A secret: text such as ${NAME}, {env: NAME}, or {file: path}.')

/** Names stand in logs, metrics and on one line of a terminal. */
const name = (maximum: number) =>
  z
    .string()
    .min(1)
    .max(maximum)
    .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u, 'must have no line end or other control character')
    .regex(/^\S(?:[^]*\S)?$/, 'must not begin or end with a space')

const price = z
  .strictObject({
    inputUsdPerMtok: z.number().min(0).optional().describe('US dollars for a million prompt tokens.'),
    cachedInputUsdPerMtok: z.number().min(0).optional().describe('The same for those found in a prefix cache.'),
    outputUsdPerMtok: z.number().min(0).optional().describe('US dollars for a million generated tokens.'),
  })
  .describe('What tokens cost at this endpoint.')

const endpointTls = z.strictObject({
  ca: secretSchema.optional().describe("Certificates (PEM) that sign the endpoint's; the system's unless given."),
  cert: secretSchema.optional().describe('Our certificate (PEM), where the endpoint asks for one.'),
  key: secretSchema.optional().describe('Its key (PEM).'),
  serverName: z.string().min(1).optional().describe("Name in the endpoint's certificate; the URL's host unless given."),
  verify: z.boolean().optional().describe('False accepts any certificate. Default: true.'),
})

export const engineKinds = [
  'auto',
  'openai',
  'vllm',
  'sglang',
  'trtllm',
  'llama-server',
  'tokenmill',
  'triton',
  'embedded',
] as const

const secretNames = /^(?:key|code|sig(?:nature)?|.*(?:api[-_]?key|token|secret|password).*)$/i

const endpoint = z
  .strictObject({
    url: z
      .url({ protocol: /^(https?|grpcs?)$/, error: 'must be an address such as http://10.0.0.7:8000', abort: true })
      .refine((url) => URL.parse(url)?.username === '' && URL.parse(url)?.password === '', {
        error: 'must have no user or password, which are never sent; put a secret into apiKey or headers',
        abort: true,
      })
      .refine((url) => URL.parse(url)?.hash === '', { error: 'must end before a #, which is never sent' })
      .refine((url) => ![...(URL.parse(url)?.searchParams.keys() ?? [])].some((name) => secretNames.test(name)), {
        error: 'must hold no secret in its query, since logs and metrics show addresses; put it into apiKey or headers',
      })
      .optional()
      .describe(
        "Address of the engine, or the base URL of a provider's documentation, with its path and query. grpc:// and grpcs:// are Triton.",
      ),
    provider: z
      .enum(providerNames)
      .optional()
      .describe(
        "A provider whose form differs from OpenAI's. Sets `engine: openai`, and where it has one address, `url`.",
      ),
    engine: z.enum(engineKinds).default('auto').describe('What runs there. `auto` asks it; grpc:// is `triton`.'),
    model: z
      .string()
      .min(1)
      .optional()
      .describe("The model's name at the endpoint (default: the first that it lists); for `embedded`, the GGUF file."),
    apiKey: secretSchema.optional(),
    headers: z.record(z.string().regex(/^[\w-]+$/, 'must be a header name'), secretSchema).default({}),
    weight: z.number().gt(0).max(1000).default(1).describe('Share of requests beside its neighbours.'),
    priority: z.boolean().default(false).describe('The engine was started with priority scheduling.'),
    price: price.optional(),
    labels: z.record(z.string(), z.string()).default({}).describe('Free words for metrics and placement.'),
    tls: endpointTls.optional(),
    chatTemplate: secretSchema
      .optional()
      .describe(
        "Triton takes text: the model's chat template, best {file: tokenizer_config.json}. Without it, no chats.",
      ),
    metricsUrl: z
      .url({ protocol: /^http$/, error: 'must be an address such as http://10.0.0.7:8002/metrics' })
      .optional()
      .describe("Triton's metrics page, which has a port of its own. Without it, load is what was sent from here."),
    repository: z
      .enum(['none', 'load', 'own'])
      .optional()
      .describe(
        'Triton: `load` has it load the model where it is not, `own` unloads it at the end too. Default: none.',
      ),
  })
  .superRefine((value, context) => {
    const isTriton = value.engine === 'triton' || (value.engine === 'auto' && value.url?.startsWith('grpc') === true)
    if (!isTriton) {
      if (value.url?.startsWith('grpc') === true) {
        context.addIssue({ code: 'custom', path: ['url'], message: 'speaks gRPC, which only `engine: triton` does' })
      }
      for (const field of ['chatTemplate', 'metricsUrl', 'repository'] as const) {
        if (value[field] === undefined) continue
        context.addIssue({ code: 'custom', path: [field], message: 'has a meaning only for `engine: triton`' })
      }
    } else if (value.repository !== undefined && value.repository !== 'none' && value.model === undefined) {
      context.addIssue({ code: 'custom', path: ['model'], message: 'is missing: the model that Triton is to load' })
    }
    if (value.engine === 'embedded') {
      if (value.model === undefined) {
        context.addIssue({ code: 'custom', path: ['model'], message: 'is missing: the GGUF file that is to run here' })
      }
      if (value.url !== undefined) {
        context.addIssue({
          code: 'custom',
          path: ['url'],
          message: 'has no meaning for an embedded engine; leave it out',
        })
      }
    } else if (value.provider !== undefined && value.engine !== 'auto' && value.engine !== 'openai') {
      context.addIssue({ code: 'custom', path: ['provider'], message: 'has a meaning only for `engine: openai`' })
    } else if (
      value.url === undefined &&
      (value.provider === undefined || providerUrls[value.provider] === undefined)
    ) {
      context.addIssue({ code: 'custom', path: ['url'], message: 'is missing: the address of the engine' })
    }
  })

const timeouts = z
  .strictObject({
    ...fieldsOf(upstreamOptions, ['connectMs', 'idleMs']),
    ...fieldsOf(fleetOptions, ['firstTokenMs', 'totalMs']),
  })
  .describe('For this model alone.')

const retries = z
  .strictObject(fieldsOf(fleetOptions, ['maxAttempts', 'maxRetryWaitMs', 'retriesPerRequest', 'retriesPerSecond']))
  .describe('For this model alone.')

const adapter = z
  .union([
    z.string().min(1),
    z.strictObject({ file: z.string().min(1).describe('GGUF file.'), scale: z.number().default(1) }),
  ])
  .describe('A LoRA adapter: its GGUF file, or {file, scale}.')

const model = z.strictObject({
  name: name(256).describe('The name that clients ask for.'),
  endpoints: z.array(endpoint).min(1, 'must have at least one endpoint').describe('Who serves it.'),
  fallbacks: z
    .array(z.string())
    .default([])
    .describe('Models to turn to, in order, when this one cannot serve. Their own fallbacks are not followed.'),
  timeouts: timeouts.default({}),
  retries: retries.default({}),
  adapters: z
    .record(name(256), adapter)
    .default({})
    .describe('LoRA adapters of the model, each offered under its own name. For embedded engines.'),
  placement: z.enum(placementNames).optional().describe('How a replica is chosen. Default: that of limits.placement.'),
})

const apiKey = z.strictObject({
  name: name(128).describe('Whose key it is: shown in logs and metrics.'),
  hash: z
    .string()
    .regex(
      /^tmk1\$[\w-]{22}\$[\w-]{43}$/,
      'is no hash of a key; `tokenmill keys create` and `tokenmill keys hash` print one',
    )
    .describe('As `tokenmill keys create` or `tokenmill keys hash` printed it. The key itself stands nowhere.'),
})

const listen = z.strictObject({
  ...fieldsOf(serverOptions, ['host', 'port', 'insecure']),
  corsOrigins: z.array(serverOptions.corsOrigin.schema).optional().describe(`${serverOptions.corsOrigin.help}.`),
  allowedHosts: z.array(serverOptions.allowedHost.schema).optional().describe(`${serverOptions.allowedHost.help}.`),
  tls: z
    .strictObject({
      cert: secretSchema.describe('Certificate chain (PEM).'),
      key: secretSchema.describe('Its key (PEM).'),
      clientCa: secretSchema
        .optional()
        .describe('Certificates (PEM) that sign those of clients; clients must have one then.'),
    })
    .optional()
    .describe('Serve HTTPS.'),
})

const ownSections = ['host', 'port', 'apiKey', 'insecure', 'corsOrigin', 'allowedHost'] as const
type ServerLimit = Exclude<keyof typeof serverOptions, (typeof ownSections)[number]>
const serverLimits = keysOf(serverOptions).filter(
  (name): name is ServerLimit => !(ownSections as readonly string[]).includes(name),
)

const limits = z
  .strictObject({
    ...fieldsOf(serverOptions, serverLimits),
    ...fieldsOf(schedulerOptions, keysOf(schedulerOptions)),
    ...fieldsOf(fleetOptions, keysOf(fleetOptions)),
    ...fieldsOf(protocolOptions, keysOf(protocolOptions)),
    ...fieldsOf(upstreamOptions, keysOf(upstreamOptions)),
    ...fieldsOf(telemetryOptions, keysOf(telemetryOptions)),
  })
  .describe('Every limit, by the name under which errors and flags know it.')

/** The whole file. Each room's options stand in it under their own names. */
export const fileSchema = z.strictObject({
  $schema: z.string().optional().describe('For editors.'),
  listen: listen.default({}),
  models: z.array(model).min(1, 'must name at least one model'),
  apiKeys: z.array(apiKey).default([]).describe('Keys that open the server. None: anybody on loopback may call.'),
  limits: limits.default({}),
  engine: z
    .strictObject(fieldsOf(engineOptions, keysOf(engineOptions)))
    .default({})
    .describe('For all embedded engines.'),
})

export type FileConfig = z.output<typeof fileSchema>
export type ModelConfig = FileConfig['models'][number]
export type EndpointConfig = ModelConfig['endpoints'][number]
export type SecretConfig = z.output<typeof secretSchema>
