import { TokenmillError, type Clock } from '../../core/index.ts'
import { dcgmMeter, nvidiaMeter, raplMeter, statedMeter, type EnergyMeter } from './energy.ts'

/**
 * The meters that `--energy` asks for; where it asks for none, those of this machine if the endpoint is here.
 * Throws `invalid_request` for what is no meter, and for one that is not there.
 */
export async function findMeters(asked: string | undefined, url: string, clock: Clock): Promise<EnergyMeter[]> {
  if (asked === 'none') return []
  if (asked?.startsWith('watts=') === true) {
    const watts = Number(asked.slice('watts='.length))
    if (watts > 0) return [statedMeter(watts)]
  }
  if (asked?.startsWith('dcgm=') === true) return [dcgmMeter(asked.slice('dcgm='.length), clock)]
  if (asked !== undefined && asked !== 'nvidia' && asked !== 'rapl')
    throw new TokenmillError(
      'invalid_request',
      `--energy is '${asked}'; write none, nvidia, rapl, dcgm=URL or watts=350.`,
    )
  const { hostname } = new URL(url)
  const isHere = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
  if (asked === undefined && !isHere) return []
  const meters = await Promise.all([
    asked === 'rapl' ? undefined : nvidiaMeter(),
    asked === 'nvidia' ? undefined : raplMeter(),
  ])
  const found = meters.filter((meter) => meter !== undefined)
  if (asked !== undefined && found.length === 0)
    throw new TokenmillError('invalid_request', `--energy ${asked} finds no such meter on this machine.`)
  return found
}
