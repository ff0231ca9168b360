import type { Choice } from './choice.ts'

/** A choice worth a row, and those that no printed figure tells from it. */
export interface FoldedChoice {
  readonly choice: Choice
  readonly equal: readonly Choice[]
}

export interface FoldedChoices {
  readonly shown: readonly FoldedChoice[]
  /** Choices that another one beats or equals in cost, GPUs, TTFT, TPOT and throughput. */
  readonly dominated: number
}

/** Leaves out choices that another one beats in every respect, and joins those that differ in nothing that is printed. */
export function foldChoices(choices: readonly Choice[]): FoldedChoices {
  const shown: { readonly choice: Choice; readonly equal: Choice[] }[] = []
  let dominated = 0
  for (const choice of choices) {
    const same = shown.find((one) => printed(one.choice) === printed(choice))
    if (same !== undefined) same.equal.push(choice)
    else if (choices.some((other) => dominates(other, choice))) dominated += 1
    else shown.push({ choice, equal: [] })
  }
  return { shown, dominated }
}

/** What a row shows of a choice beside its name. */
function printed({ deployment, prediction, replicas, gpus, usdPerHour }: Choice): string {
  const { ttftMs, tpotMs, tokensPerSecondPerGpu, concurrency } = prediction
  const figures = [ttftMs.value.toFixed(0), tpotMs.value.toFixed(1), tokensPerSecondPerGpu.value.toFixed(0)]
  return [deployment.gpu.id, replicas, gpus, usdPerHour, concurrency, ...figures].join()
}

/** Whether `a` is nowhere worse than `b` and somewhere better, what was measured before what was not. */
function dominates(a: Choice, b: Choice): boolean {
  const figures = ({ prediction, gpus, usdPerHour }: Choice) => [
    usdPerHour ?? 0,
    gpus,
    prediction.ttftMs.value,
    prediction.ttftMs.high,
    prediction.tpotMs.value,
    prediction.tpotMs.high,
    -prediction.tokensPerSecondPerGpu.value,
    prediction.extrapolated.length,
  ]
  if ((a.usdPerHour === undefined) !== (b.usdPerHour === undefined)) return false
  const own = figures(a)
  const other = figures(b)
  return own.every((value, at) => value <= (other[at] ?? 0)) && own.some((value, at) => value < (other[at] ?? 0))
}
