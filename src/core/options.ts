import type { z } from 'zod'

/**
 * One setting, defined once. The command line derives its flag, help and completion from it, the configuration
 * file its key and check, the documents their table. Each room lists its own in `options.ts`.
 *
 * The key in the table is the camelCase name (`maxQueue`); the flag is its kebab-case form (`--max-queue`).
 */
export interface Option<T> {
  /** Checks and converts what a flag (always text), a file or a variable gives. */
  readonly schema: z.ZodType<T>
  /** Used when nobody says otherwise; undefined means "decided at run time", and `help` says how. */
  readonly default?: T
  /** What the value is, as help shows it: `<cells>`. Absent for switches, which take none. */
  readonly value?: string
  /** One line for people, ending without a full stop. */
  readonly help: string
  /** Why the default, or the limit, is what it is. */
  readonly reason?: string
  /** Unit of a number: `ms`, `bytes`, `tokens`. */
  readonly unit?: string
  /** The flag may be given more than once, and the values gather in an array. */
  readonly repeatable?: boolean
  /** Allowed words, for completion and help. */
  readonly choices?: readonly string[]
  /** A secret: never printed, logged or shown by `config show`. */
  readonly secret?: boolean
}

export type OptionTable = Readonly<Record<string, Option<unknown>>>

/** The values of a table of options: those with a default are always there. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Key in keyof Table]: Table[Key] extends { readonly default: unknown }
    ? ValueOf<Table[Key]>
    : ValueOf<Table[Key]> | undefined
}

/** What the schema gives; an array of it where the option is repeatable. */
type ValueOf<O> = O extends { readonly schema: z.ZodType<infer T>; readonly repeatable: true }
  ? readonly T[]
  : O extends { readonly schema: z.ZodType<infer T> }
    ? T
    : never

/** The table itself, with its literal types kept, so that `OptionValues` knows which options always have a value. */
export function defineOptions<const Table extends OptionTable>(table: Table): Table {
  return table
}

/** The defaults of a table, as the values that nobody changed. */
export function defaultValues<const Table extends OptionTable>(table: Table): OptionValues<Table> {
  const values = Object.entries(table).map(([key, option]) => [key, option.default])
  return Object.fromEntries(values) as OptionValues<Table>
}

/** The values of a table: those given, else the defaults. */
export function optionValues<const Table extends OptionTable>(table: Table, given: object): OptionValues<Table> {
  const values = Object.entries(table).map(([name, option]) => {
    const value: unknown = Reflect.get(given, name)
    return [name, value ?? option.default]
  })
  return Object.fromEntries(values) as OptionValues<Table>
}

/** `--kebab-case` for a camelCase key. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
