/**
 * A date in Python's `strftime` notation, in UTC and English, as chat templates ask for today's date.
 * Directives: https://docs.python.org/3/library/datetime.html#format-codes. An unknown one stays as it is.
 */
export function toStrftime(format: string, date: Date): string {
  return format.replace(/%(-?)([a-zA-Z%])/g, (directive, dash: string, letter: string) => {
    const text = directives[letter]?.(date)
    if (text === undefined) return directive
    return dash === '' ? text : text.replace(/^0+(?=.)/, '')
  })
}

const two = (value: number): string => String(value).padStart(2, '0')
const inEnglish = (date: Date, options: Intl.DateTimeFormatOptions): string =>
  new Intl.DateTimeFormat('en-US', { ...options, timeZone: 'UTC' }).format(date)

const directives: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getUTCFullYear()),
  y: (date) => two(date.getUTCFullYear() % 100),
  m: (date) => two(date.getUTCMonth() + 1),
  d: (date) => two(date.getUTCDate()),
  H: (date) => two(date.getUTCHours()),
  I: (date) => two(date.getUTCHours() % 12 || 12),
  M: (date) => two(date.getUTCMinutes()),
  S: (date) => two(date.getUTCSeconds()),
  p: (date) => (date.getUTCHours() < 12 ? 'AM' : 'PM'),
  A: (date) => inEnglish(date, { weekday: 'long' }),
  a: (date) => inEnglish(date, { weekday: 'short' }),
  B: (date) => inEnglish(date, { month: 'long' }),
  b: (date) => inEnglish(date, { month: 'short' }),
  w: (date) => String(date.getUTCDay()),
  j: (date) => String(dayOfYear(date)).padStart(3, '0'),
  F: (date) => date.toISOString().slice(0, 10),
  T: (date) => date.toISOString().slice(11, 19),
  Z: () => 'UTC',
  z: () => '+0000',
  '%': () => '%',
}

function dayOfYear(date: Date): number {
  return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1
}
