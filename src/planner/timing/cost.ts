import type { Hardware, PriceTier } from '../work/hardware.ts'

/** Price of one GPU hour at a tier; where the tier has none, the nearest that has. Undefined without any price. */
export function usdPerGpuHour(
  gpu: Hardware,
  tier: PriceTier,
): { readonly usd: number; readonly tier: PriceTier } | undefined {
  const order: Readonly<Record<PriceTier, readonly PriceTier[]>> = {
    hyperscaler: ['hyperscaler', 'neocloud', 'rental'],
    neocloud: ['neocloud', 'rental', 'hyperscaler'],
    rental: ['rental', 'neocloud', 'hyperscaler'],
  }
  for (const candidate of order[tier]) {
    const usd = gpu.usdPerHour?.[candidate]
    if (usd !== undefined) return { usd, tier: candidate }
  }
  return undefined
}

/**
 * Dollars per million tokens = $/GPU-h / (tokens/s/GPU · 3600) · 10⁶ / utilisation. Say which tokens: output,
 * input or all; `utilisation` is the share of the paid hours in which the GPU runs at this rate.
 */
export function usdPerMillionTokens(usdPerHour: number, tokensPerSecondPerGpu: number, utilisation: number): number {
  return ((usdPerHour / (tokensPerSecondPerGpu * 3600)) * 1e6) / utilisation
}

/** Dollars of electricity per million tokens: J/token · 10⁶ / 3.6·10⁶ J per kWh · $/kWh · PUE. */
export function energyUsdPerMillionTokens(joulesPerToken: number, usdPerKwh: number, pue: number): number {
  return (joulesPerToken / 3.6) * usdPerKwh * pue
}
