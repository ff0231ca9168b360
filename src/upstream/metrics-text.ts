/**
 * Reads a few values out of a page in Prometheus' text format, by searching for their names in the bytes: a page of
 * vLLM has 100 kB, of which five lines are wanted.
 */
export interface Sample {
  /** Label names and values, unescaped only as far as engines write them (no quotes within). */
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/**
 * The page with these metrics alone: Prometheus' client for Python, which vLLM and SGLang use, makes a page of 1 kB
 * then instead of 100. Others pay no heed, and where several processes share a page it comes out empty: then the whole
 * page has to be asked for.
 */
export function namedMetrics(path: string, names: readonly string[]): string {
  return `${path}?${names.map((name) => `name[]=${encodeURIComponent(name)}`).join('&')}`
}

/** Every sample of a metric, in the order of the page. */
export function readSamples(page: Buffer, name: string): Sample[] {
  const found: Sample[] = []
  for (let at = page.indexOf(name); at >= 0; at = page.indexOf(name, at + name.length)) {
    if (at > 0 && page[at - 1] !== 0x0a) continue
    const next = page[at + name.length]
    if (next !== 0x7b && next !== 0x20) continue
    const lineEnd = page.indexOf(0x0a, at)
    const line = page.toString('utf8', at + name.length, lineEnd < 0 ? page.length : lineEnd)
    const match = /^(?:\{(.*)\})?\s+(\S+)/.exec(line)
    const value = Number(match?.[2]?.replace(/^\+?Inf$/i, 'Infinity'))
    if (match !== null && !Number.isNaN(value)) found.push({ labels: readLabels(match[1] ?? ''), value })
  }
  return found
}

/** Sum over all samples of the first metric that the page has; undefined without any. */
export function sumOf(page: Buffer, ...names: readonly string[]): number | undefined {
  for (const name of names) {
    const samples = readSamples(page, name)
    if (samples.length > 0) return samples.reduce((sum, sample) => sum + sample.value, 0)
  }
  return undefined
}

/** Mean over all samples of the first metric that the page has: for shares of replicas behind one address. */
export function meanOf(page: Buffer, ...names: readonly string[]): number | undefined {
  for (const name of names) {
    const samples = readSamples(page, name)
    if (samples.length > 0) return samples.reduce((sum, sample) => sum + sample.value, 0) / samples.length
  }
  return undefined
}

function readLabels(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/([a-zA-Z_]\w*)="([^"]*)"/g)].map((match) => [match[1] ?? '', match[2] ?? '']),
  )
}
