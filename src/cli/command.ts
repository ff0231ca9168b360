import { Command as Program, InvalidArgumentError, Option as ProgramOption } from 'commander'
import { flagName, type Option, type OptionTable, type OptionValues } from '../core/index.ts'

/** One command of `tokenmill`: a file each, found in commands.ts. Help, checks and completions derive from it. */
export interface CommandDefinition<Table extends OptionTable = OptionTable> {
  readonly name: string
  /** One line without a full stop, shown in the list of commands. */
  readonly summary: string
  /** Positional arguments in commander's notation: `<url>`, `[prompt...]`. */
  readonly arguments?: readonly { readonly syntax: string; readonly help: string }[]
  readonly options: Table
  /** Lines that a reader can copy, shown under the help. */
  readonly examples?: readonly string[]
  readonly subcommands?: readonly CommandDefinition[]
  /** Resolves to the exit code. Absent for a command that only groups others. */
  run?(values: OptionValues<Table>, positionals: readonly unknown[], io: Io): Promise<number>
}

/** The process's edges, passed in so that a test can hold them. */
export interface Io {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
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

/** The commander program for a definition. Its action stores the exit code through `onExit`. */
export function toProgram(definition: CommandDefinition, io: Io, onExit: (code: number) => void): Program {
  const program = new Program(definition.name).description(definition.summary).showHelpAfterError('Try --help.')
  for (const argument of definition.arguments ?? []) program.argument(argument.syntax, argument.help)
  for (const [key, option] of Object.entries(definition.options)) program.addOption(toProgramOption(key, option))
  for (const subcommand of definition.subcommands ?? []) program.addCommand(toProgram(subcommand, io, onExit))
  if (definition.examples !== undefined) {
    program.addHelpText('after', ['', 'Examples:', ...definition.examples.map((line) => `  ${line}`)].join('\n'))
  }
  const run = definition.run?.bind(definition)
  if (run !== undefined) {
    program.action(async (...received: unknown[]) => {
      const positionals = received.slice(0, definition.arguments?.length ?? 0)
      onExit(await run(program.opts(), positionals, io))
    })
  }
  return program
}

function toProgramOption(key: string, option: Option<unknown>): ProgramOption {
  const value = option.repeatable ? option.value?.replace(/>$/, '...>') : option.value
  const parsed = new ProgramOption(value === undefined ? flagName(key) : `${flagName(key)} ${value}`, describe(option))
  if (option.default !== undefined) parsed.default(option.default)
  if (option.choices !== undefined) parsed.choices(option.choices)
  if (value !== undefined) {
    parsed.argParser((text: string, previous: unknown) => {
      const result = option.schema.safeParse(text)
      if (!result.success) {
        throw new InvalidArgumentError(result.error.issues.map((issue) => issue.message).join('; '))
      }
      if (!option.repeatable) return result.data
      return Array.isArray(previous) && previous !== option.default ? [...previous, result.data] : [result.data]
    })
  }
  return parsed
}

function describe(option: Option<unknown>): string {
  return option.unit === undefined ? option.help : `${option.help}, in ${option.unit}`
}
