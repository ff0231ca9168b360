import { shownUrl } from '../bench/index.ts'
import { benchOptions } from '../bench/options.ts'
import { flagName } from '../core/index.ts'

const secretFlags = new Set(
  Object.entries(benchOptions)
    .filter(([, option]) => 'secret' in option && option.secret)
    .map(([key]) => flagName(key)),
)

/** The command line as reports show it: without values of secret options, of headers, and of keys in URLs. */
export function shownCommandLine(args: readonly string[]): string {
  const shown = args.map((arg, index) => {
    const flag = args[index - 1] ?? ''
    if (secretFlags.has(flag)) return '<secret>'
    if (flag === '--header') return quoted(withoutValue(arg))
    const [name = '', ...rest] = arg.split('=')
    if (rest.length > 0 && secretFlags.has(name)) return `${name}=<secret>`
    if (rest.length > 0 && name === '--header') return quoted(`${name}=${withoutValue(rest.join('='))}`)
    return quoted(shownUrl(arg))
  })
  return `tokenmill ${shown.join(' ')}`
}

/** Any header may carry a key. */
function withoutValue(header: string): string {
  const split = header.indexOf(':')
  return split < 0 ? '<secret>' : `${header.slice(0, split)}: <secret>`
}

function quoted(arg: string): string {
  return /^[\w./:=,@%+-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", String.raw`'\''`)}'`
}
