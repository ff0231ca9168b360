import type { TokenmillError } from '../../core/index.ts'
import type { Estimated, Prediction } from '../timing/predict.ts'
import type { Demand, Rejected, Risk, RiskOfMiss } from './choice.ts'

export function meets(point: Prediction, demand: Demand, risk: Risk): boolean {
  return (
    endOf(point.ttftMs, risk) <= (demand.ttftMs ?? Infinity) && endOf(point.tpotMs, risk) <= (demand.tpotMs ?? Infinity)
  )
}

/** The end of an interval of time that a risk looks at. */
function endOf(time: Estimated, risk: Risk): number {
  return risk === 'safe' ? time.high : time.value
}

export function risksOf(point: Prediction, { ttftMs, tpotMs }: Demand): readonly RiskOfMiss[] {
  const risks: RiskOfMiss[] = []
  if (ttftMs !== undefined && point.ttftMs.high > ttftMs) {
    risks.push({ quantity: 'TTFT', worstMs: point.ttftMs.high, objectiveMs: ttftMs })
  }
  if (tpotMs !== undefined && point.tpotMs.high > tpotMs) {
    risks.push({ quantity: 'TPOT', worstMs: point.tpotMs.high, objectiveMs: tpotMs })
  }
  return risks
}

/** What even one request alone misses. */
export function missOf(
  alone: Prediction | undefined,
  demand: Demand,
  risk: Risk,
): Pick<Rejected, 'cause' | 'reason' | 'over'> {
  if (alone === undefined) return { cause: 'other', reason: 'not one request fits.', over: undefined }
  const ttft = endOf(alone.ttftMs, risk)
  const tpot = endOf(alone.tpotMs, risk)
  const { ttftMs = Infinity, tpotMs = Infinity } = demand
  const reasons = [
    ...(ttft > ttftMs ? [`TTFT is ${ttft.toFixed(0)} ms, the objective ${ttftMs} ms`] : []),
    ...(tpot > tpotMs ? [`TPOT is ${tpot.toFixed(1)} ms, the objective ${tpotMs} ms`] : []),
  ]
  return {
    cause: reasons.length > 1 ? 'TTFT and TPOT' : ttft > ttftMs ? 'TTFT' : 'TPOT',
    reason: `Even one request alone misses: ${reasons.join('; ')}.`,
    over: tpot > tpotMs ? { value: tpot, objective: tpotMs } : { value: ttft, objective: ttftMs },
  }
}

export function rejectionOf({ message, details, code }: TokenmillError): Pick<Rejected, 'cause' | 'reason' | 'over'> {
  const { limit, actual, maximum } = details
  if (limit === 'gpuMemory' && actual !== undefined && maximum !== undefined) {
    return { cause: 'memory', reason: message, over: { value: actual, objective: maximum } }
  }
  return { cause: code === 'invalid_request' ? 'split' : 'other', reason: message, over: undefined }
}
