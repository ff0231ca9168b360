import type { z } from 'zod'

const kinds: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a group of settings (name: value)',
  record: 'a group of settings (name: value)',
}

/** What is wrong with a value that somebody wrote, where zod would speak of types that its reader never chose. */
export function complaintOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_key':
      return issue.issues.map(complaintOf).join('; ')
    case 'invalid_type':
      return own(issue) ?? `must be ${kinds[issue.expected] ?? `a ${issue.expected}`}`
    case 'too_small':
      if (issue.origin === 'string') return issue.message
      return own(issue) ?? `must be ${issue.inclusive === true ? 'at least' : 'more than'} ${issue.minimum}`
    case 'too_big':
      if (issue.origin === 'string') return issue.message
      return own(issue) ?? `must be ${issue.inclusive === true ? 'at most' : 'less than'} ${issue.maximum}`
    case 'invalid_value':
      return own(issue) ?? `must be one of ${issue.values.map(String).join(', ')}`
    default:
      return issue.message
  }
}

/** The schema's own words; undefined where it left them to zod. */
function own({ message }: z.core.$ZodIssue): string | undefined {
  return /^(?:Invalid|Too) /.test(message) ? undefined : message
}
