import packageJson from '../../package.json' with { type: 'json' }
import { defineCommand } from './command.ts'

export const version = defineCommand({
  name: 'version',
  summary: 'Print the version',
  options: {},
  run(_values, _positionals, io) {
    io.stdout.write(`${packageJson.version}\n`)
    return Promise.resolve(0)
  },
})
