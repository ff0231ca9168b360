import type { Option } from '../core/index.ts'
import { defineCommand, flagOf, type CommandDefinition } from './command.ts'

const shells = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof shells)[number]

/** The command that prints a completion script for the tree of commands it stands in. */
export function defineCompletion(tree: () => CommandDefinition): CommandDefinition {
  return defineCommand({
    name: 'completion',
    summary: 'Print the completion script of a shell',
    arguments: [{ syntax: '<shell>', help: 'Shell to complete for', choices: shells }],
    options: {},
    examples: [
      'source <(tokenmill completion bash)',
      'tokenmill completion zsh > "${fpath[1]}/_tokenmill"',
      'tokenmill completion fish > ~/.config/fish/completions/tokenmill.fish',
    ],
    run(_values, [shell], io) {
      io.stdout.write(scripts[shell as Shell](toPlaces(tree())))
      return Promise.resolve(0)
    },
  })
}

/** A place in the tree: the words that lead there, and what can follow. */
interface Place {
  /** `tokenmill`, `tokenmill serve`: words after the program's name. */
  readonly words: readonly string[]
  readonly subcommands: readonly { readonly name: string; readonly summary: string }[]
  readonly flags: readonly Flag[]
  readonly choices: readonly string[]
}

interface Flag {
  readonly flag: string
  readonly help: string
  readonly takesValue: boolean
  /** The value is a file. */
  readonly file: boolean
  readonly choices: readonly string[]
}

function toPlaces(definition: CommandDefinition, words: readonly string[] = []): Place[] {
  const subcommands = definition.subcommands ?? []
  const here: Place = {
    words,
    subcommands: subcommands.map(({ name, summary }) => ({ name, summary })),
    flags: [
      ...Object.entries(definition.options).map(([key, option]) => toFlag(key, option)),
      ...(definition.version === undefined ? [] : [{ ...bare, flag: '--version', help: 'Print the version' }]),
      { ...bare, flag: '--help', help: 'Show help' },
    ],
    choices: (definition.arguments ?? []).flatMap((argument) => argument.choices ?? []),
  }
  return [here, ...subcommands.flatMap((each) => toPlaces(each, [...words, each.name]))]
}

const bare = { takesValue: false, file: false, choices: [] }

function toFlag(key: string, option: Option<unknown>): Flag {
  return {
    flag: flagOf(key, option),
    help: option.help,
    takesValue: option.value !== undefined,
    file: /path|file/.test(option.value ?? ''),
    choices: option.choices ?? [],
  }
}

const scripts: Readonly<Record<Shell, (places: readonly Place[]) => string>> = { bash, zsh, fish }

/** Walks the words before the cursor to the deepest command, then offers what follows there. */
function bash(places: readonly Place[]): string {
  const names = [...new Set(places.flatMap((place) => place.words))]
  const cases = places.map((place) => {
    const values = place.flags
      .filter((each) => each.takesValue)
      .map((each) => {
        const reply = each.file ? 'compgen -f -- "$cur"' : `compgen -W ${quote(each.choices.join(' '))} -- "$cur"`
        return `        ${each.flag}) COMPREPLY=($(${reply})); return ;;`
      })
    const offered = [...place.subcommands.map((each) => each.name), ...place.choices, ...place.flags.map((f) => f.flag)]
    return [
      `    ${quote(place.words.join(' '))})`,
      '      case "$prev" in',
      ...values,
      '      esac',
      `      COMPREPLY=($(compgen -W ${quote(offered.join(' '))} -- "$cur")) ;;`,
    ].join('\n')
  })
  return `# bash completion for tokenmill
_tokenmill() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" path="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in ${names.join('|')}) path="\${path:+$path }$word" ;; -*) break ;; esac
  done
  case "$path" in
${cases.join('\n')}
  esac
}
complete -o filenames -F _tokenmill tokenmill
`
}

function zsh(places: readonly Place[]): string {
  const functions = places.map((place) => {
    const flags = place.flags.map((each) => {
      const value = !each.takesValue ? '' : each.file ? ':file:_files' : `:value:(${each.choices.join(' ')})`
      return `    ${quote(`*${each.flag}[${each.help.replace(/[[\]:]/g, (character) => `\\${character}`)}]${value}`)}`
    })
    const choices = place.choices.length === 0 ? [] : [`    ${quote(`1:argument:(${place.choices.join(' ')})`)}`]
    if (place.subcommands.length === 0) {
      return `${zshName(place.words)}() {\n  _arguments \\\n${[...flags, ...choices].join(' \\\n')}\n}`
    }
    const described = place.subcommands.map(
      (each) => `    ${quote(`${each.name}:${each.summary.replaceAll(':', '\\:')}`)}`,
    )
    const cases = place.subcommands.map((each) => `    ${each.name}) ${zshName([...place.words, each.name])} ;;`)
    return `${zshName(place.words)}() {
  local -a commands=(
${described.join('\n')}
  )
  local line state
  _arguments -C \\
${[...flags, "    '1:command:->command'", "    '*::argument:->argument'"].join(' \\\n')}
  case "$state" in
  command) _describe command commands ;;
  argument) case "$line[1]" in
${cases.join('\n')}
    esac ;;
  esac
}`
  })
  return `#compdef tokenmill\n${functions.join('\n')}\n_tokenmill "$@"\n`
}

function zshName(words: readonly string[]): string {
  return ['_tokenmill', ...words].join('_').replaceAll('-', '_')
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap((place) => {
    const below = place.subcommands.map((each) => each.name)
    const seen = place.words.map((word) => `__fish_seen_subcommand_from ${word}`)
    const notBelow = below.length === 0 ? [] : [`not __fish_seen_subcommand_from ${below.join(' ')}`]
    const condition = quote([...seen, ...notBelow].join('; and ') || 'true')
    const base = `complete -c tokenmill -n ${condition}`
    return [
      ...place.subcommands.map((each) => `${base} -f -a ${each.name} -d ${quote(each.summary)}`),
      ...place.choices.map((choice) => `${base} -f -a ${choice}`),
      ...place.flags.map((each) => {
        const value = !each.takesValue ? '' : each.file ? ' -r -F' : ` -x -a ${quote(each.choices.join(' '))}`
        return `${base} -l ${each.flag.slice(2)}${value} -d ${quote(each.help)}`
      }),
    ]
  })
  return `# fish completion for tokenmill\ncomplete -c tokenmill -f\n${lines.join('\n')}\n`
}

/** A word of the shell: single quotes, and those inside closed and escaped. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
