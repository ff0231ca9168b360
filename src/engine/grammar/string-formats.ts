/**
 * Regular expressions of the formats that JSON Schema names and OpenAI's structured output takes, each anchored.
 * They are narrower than the standards where those allow what nobody writes: a grammar may say less, never more.
 * Formats: https://json-schema.org/draft/2020-12/json-schema-validation#name-defined-formats
 */
export const stringFormats: Readonly<Record<string, string>> = buildFormats()

function buildFormats(): Record<string, string> {
  const hour = '([01]\\d|2[0-3])'
  const minute = '[0-5]\\d'
  const time = `${hour}:${minute}:${minute}(\\.\\d{1,9})?(Z|[+-]${hour}:${minute})`
  const leapYear = '(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)'
  const date =
    '(\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))' +
    `|${leapYear}-02-29)`
  const octet = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
  const ipv4 = `${octet}(\\.${octet}){3}`
  const group = '[0-9a-f]{1,4}'
  const ipv6 = [
    `(${group}:){7}${group}`,
    `(${group}:){1,7}:`,
    ...[1, 2, 3, 4, 5, 6].map((behind) => `(${group}:){1,${7 - behind}}(:${group}){${behind}}`),
    `::(${group}:){0,6}${group}`,
    '::',
  ].join('|')
  const label = '[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?'
  const hostname = `${label}(\\.${label}){0,4}`
  const days = 'T(\\d+H(\\d+M(\\d+S)?)?|\\d+M(\\d+S)?|\\d+S)'
  const day = `(\\d+D(${days})?)`
  const duration = `P(${day}|\\d+W|\\d+M(${day})?|\\d+Y(\\d+M(${day})?)?|${days})`
  const path = '(/[A-Za-z0-9._~-]*)*'
  const uri = `https?://[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?){0,4}(:[1-9]\\d{0,3})?${path}(\\?[A-Za-z0-9._~=&-]*)?(#[A-Za-z0-9._~-]*)?`
  return Object.fromEntries(
    Object.entries({
      'date-time': `${date}T${time}`,
      date,
      time,
      duration,
      email: `[a-zA-Z0-9_+-]+(\\.[a-zA-Z0-9_+-]+)*@${label}(\\.${label}){1,4}`,
      hostname,
      ipv4,
      ipv6,
      uuid: '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
      uri,
      'json-pointer': '(/([^~/]|~[01])*)*',
    }).map(([name, pattern]) => [name, `^(?:${pattern})$`]),
  )
}
