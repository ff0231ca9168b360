import { Command as Program, InvalidArgumentError, Option as ProgramOption } from 'commander'
import { complaintOf, flagName, formatBytes, type Option, type OptionTable, type OptionValues } from '../core/index.ts'

/**
 * One command of `tokenmill`: a file each, found in commands.ts. Help, checks and completions derive from it.
 * Definitions are read for every command line, so a file imports option tables at its top and the rooms that do the
 * work inside `run`.
 */
export interface CommandDefinition<Table extends OptionTable = OptionTable> {
  readonly name: string
  /** Printed by --version. */
  readonly version?: string
  /** One line without a full stop, shown in the list of commands. */
  readonly summary: string
  /** Positional arguments in commander's notation: `<url>`, `[prompt...]`. */
  readonly arguments?: readonly CommandArgument[]
  readonly options: Table
  /** How help groups the options; those in no group come under "Options". */
  readonly groups?: readonly { readonly heading: string; readonly options: OptionTable }[]
  /** Lines that a reader can copy, shown under the help. */
  readonly examples?: readonly string[]
  readonly subcommands?: readonly CommandDefinition[]
  /** It runs until it is stopped, for others: output that nobody takes does not end it. */
  readonly service?: boolean
  /**
   * Resolves to the exit code. Absent for a command that only groups others. `given` names the options that the
   * command line set, for commands with a further source of settings below it.
   */
  run?(
    values: OptionValues<Table>,
    positionals: readonly unknown[],
    io: Io,
    given: ReadonlySet<string>,
  ): Promise<number>
}

export interface CommandArgument {
  readonly syntax: string
  readonly help: string
  /** Allowed words, for checks and completion. */
  readonly choices?: readonly string[]
}

/** The process's edges, passed in so that a test can hold them. */
export interface Io {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: typeof process.stderr
  readonly env: Readonly<Record<string, string | undefined>>
  /** Fires on the first SIGINT or SIGTERM. */
  readonly stop: AbortSignal
}

/** Keeps the option table's types for `run`. */
export function defineCommand<const Table extends OptionTable>(
  definition: CommandDefinition<Table>,
): CommandDefinition {
  return definition
}

/**
 * The commander program for a definition. Its action tells `onStart` which command runs and stores the exit code through
 * `onExit`; errors are thrown.
 */
export function toProgram(
  definition: CommandDefinition,
  io: Io,
  onExit: (code: number) => void,
  onStart: (definition: CommandDefinition) => void = () => undefined,
): Program {
  const program = new Program(definition.name)
    .description(definition.summary)
    .showHelpAfterError('Try --help.')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    // Commander's own default and choices would say them a second time.
    .configureHelp({ optionDescription: (option) => option.description })
  if (definition.version !== undefined) program.version(definition.version, '-V, --version', 'Print the version')
  for (const { syntax, help, choices } of definition.arguments ?? []) {
    const argument = program.createArgument(syntax, help)
    program.addArgument(choices === undefined ? argument : argument.choices(choices))
  }
  for (const [key, option] of Object.entries(definition.options)) {
    const parsed = toProgramOption(key, option)
    const group = definition.groups?.find(({ options }) => key in options)
    program.addOption(group === undefined ? parsed : parsed.helpGroup(`${group.heading}:`))
  }
  for (const subcommand of definition.subcommands ?? []) program.addCommand(toProgram(subcommand, io, onExit, onStart))
  if (definition.examples !== undefined) {
    program.addHelpText('after', ['', 'Examples:', ...definition.examples.map((line) => `  ${line}`)].join('\n'))
  }
  const run = definition.run?.bind(definition)
  // Options after a subcommand's name are the subcommand's, though its parent knows some by the same name.
  if (definition.subcommands !== undefined) program.enablePositionalOptions()
  if (run !== undefined) {
    program.action(async (...received: unknown[]) => {
      const positionals = received.slice(0, definition.arguments?.length ?? 0)
      const given = Object.keys(definition.options).filter((key) => program.getOptionValueSource(key) === 'cli')
      onStart(definition)
      onExit(await run(program.opts(), positionals, io, new Set(given)))
    })
  }
  return program
}

/** The flag as one writes it: a switch that is on by default is turned off by its negation. */
export function flagOf(key: string, option: Option<unknown>): string {
  const flag = flagName(key)
  return option.value === undefined && option.default === true ? flag.replace(/^--/, '--no-') : flag
}

function toProgramOption(key: string, option: Option<unknown>): ProgramOption {
  const flag = flagOf(key, option)
  if (option.value === undefined) {
    const parsed = new ProgramOption(flag, describe(option))
    return parsed.negate ? parsed : parsed.default(option.default)
  }
  const parsed = new ProgramOption(`${flag} ${option.value}`, describe(option))
  if (option.default !== undefined) parsed.default(option.default)
  parsed.argParser((text: string, previous: unknown) => {
    const result = option.schema.safeParse(text)
    if (!result.success) {
      throw new InvalidArgumentError(result.error.issues.map(complaintOf).join('; '))
    }
    if (!option.repeatable) return result.data
    return Array.isArray(previous) && previous !== option.default ? [...previous, result.data] : [result.data]
  })
  return parsed
}

/** Help, then what can be given and what holds otherwise. */
function describe(option: Option<unknown>): string {
  const notes: string[] = []
  if (option.choices !== undefined) notes.push(option.choices.join(', '))
  if (option.repeatable === true) notes.push('repeatable')
  const shown = option.value === undefined ? undefined : showDefault(option)
  if (shown !== undefined) notes.push(`default: ${shown}`)
  return notes.length === 0 ? option.help : `${option.help} (${notes.join('; ')})`
}

function showDefault({ default: value, unit, secret }: Option<unknown>): string | undefined {
  if (value === undefined || secret === true || value === '' || (Array.isArray(value) && value.length === 0))
    return undefined
  if (unit === 'bytes' && typeof value === 'number') return formatBytes(value)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return unit === undefined ? text : `${text} ${unit}`
}
