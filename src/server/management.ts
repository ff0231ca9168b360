import type { FastifyInstance } from 'fastify'
import { TokenmillError } from '../core/index.ts'
import { toOpenAiModel } from '../protocol/index.ts'
import { statusOf } from '../scheduler/index.ts'
import type { Metrics } from '../telemetry/index.ts'
import { frontPage } from './front-page.ts'
import type { Product } from './product.ts'
import type { Routes } from './routes.ts'

export interface ManagementServices {
  readonly routes: Routes
  readonly metrics: Metrics
  readonly product: Product
  /** Why no request can be served now; undefined when one can. */
  readonly notReady: () => string | undefined
}

/** What operators, probes and scrapers ask. Shapes follow NIM's management API, so that its tools read them. */
export function registerManagement(app: FastifyInstance, services: ManagementServices): void {
  const { routes, metrics, product, notReady } = services

  app.get('/', { config: { open: true } }, (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(frontPage(product)),
  )
  app.get('/v1/models', () => ({ object: 'list', data: routes.list().map(toOpenAiModel) }))
  // Names may hold slashes, as repositories do.
  app.get<{ Params: { '*': string } }>('/v1/models/*', (request) => toOpenAiModel(routes.listed(request.params['*'])))

  app.get('/v1/health/live', { config: { open: true } }, () => health('Service is live.'))
  const ready = () => {
    const reason = notReady()
    if (reason !== undefined) throw new TokenmillError('unavailable', reason, { retryAfterMs: 1000 })
    return health('Service is ready.')
  }
  app.get('/v1/health/ready', { config: { open: true } }, ready)
  app.get('/health', { config: { open: true } }, ready)

  app.get('/v1/version', () => ({ release: product.version, api: '1' }))
  app.get('/v1/license', () => product.license)
  app.get('/v1/metadata', () => ({
    version: product.version,
    selectedModelProfileId: '',
    modelInfo: routes.list().map((model) => ({ shortName: model.id, modelUrl: model.root })),
    licenseInfo: product.license,
    assetInfo: [...new Set(routes.list().map((model) => model.root))],
    repository_override: '',
  }))
  app.get('/v1/manifest', () => ({
    models: routes.list().map((model) => ({
      name: model.id,
      parent: model.parent ?? null,
      source: model.root,
      context_tokens: model.contextTokens ?? null,
      endpoint: routes.resolve(model.id).pool.endpoint,
      state: statusOf(routes.resolve(model.id).pool).state,
    })),
  }))

  for (const url of ['/metrics', '/v1/metrics']) {
    app.get(url, async (_request, reply) => {
      reply.header('content-type', metrics.contentType)
      return await metrics.text()
    })
  }
}

function health(message: string): object {
  return { object: 'health.response', message, status: 'ok' }
}
