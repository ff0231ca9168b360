import type { EndpointSettings, UpstreamLimits } from './endpoint.ts'
import { upstreamOptions } from './options.ts'

/** The shipped defaults, for tests. */
export const defaultLimits = Object.fromEntries(
  Object.entries(upstreamOptions).map(([name, option]) => [name, option.default]),
) as unknown as UpstreamLimits

/** Settings of one endpoint with every default, for tests. */
export function testSettings(url: string, overrides: Partial<EndpointSettings> = {}): EndpointSettings {
  return {
    url,
    engine: 'auto',
    model: undefined,
    apiKey: undefined,
    headers: {},
    priority: false,
    tls: undefined,
    limits: defaultLimits,
    ...overrides,
  }
}
