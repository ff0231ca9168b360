import { existsSync } from 'node:fs'
import { cpus } from 'node:os'
import { z } from 'zod'
import packageJson from '../../package.json' with { type: 'json' }
import { defineOptions, formatBytes } from '../core/index.ts'
import { bundledModel } from './bundled-model.ts'
import { defineCommand, type Io } from './command.ts'

interface Finding {
  readonly name: string
  readonly good: boolean
  readonly text: string
}

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'Say what this machine can run, and what is missing',
  options: defineOptions({ json: { schema: z.boolean(), default: false, help: 'Print JSON' } }),
  async run(values, _positionals, io) {
    const findings = [...(await describeHere()), await tryModel(io)]
    if (values.json) io.stdout.write(`${JSON.stringify(findings, null, 2)}\n`)
    else
      for (const { name, good, text } of findings) io.stdout.write(`${good ? '✓' : '✗'} ${name.padEnd(10)} ${text}\n`)
    return findings.every(({ good }) => good) ? 0 : 1
  },
})

async function describeHere(): Promise<readonly Finding[]> {
  const { describeMachine } = await import('../engine/index.ts')
  const machine = describeMachine()
  const major = Number(process.versions.node.split('.')[0])
  return [
    { name: 'tokenmill', good: true, text: packageJson.version },
    {
      name: 'node',
      good: major >= 24,
      text: `${process.versions.node} on ${machine.platform}${major >= 24 ? '' : '; 24 or newer is needed'}`,
    },
    {
      name: 'processor',
      good: true,
      text: `${machine.cores} cores for this process, ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    },
    { name: 'memory', good: true, text: `${formatBytes(machine.memoryBytes)} available` },
    {
      name: 'libllama',
      good: machine.pack !== undefined,
      text: machine.pack ?? `none of ${machine.packs.map(({ name }) => name).join(', ')} is installed: run npm install`,
    },
    graphics(machine),
  ]
}

/** Why a GPU is used or not. A machine without one is no fault. */
function graphics(machine: {
  readonly packs: readonly { readonly name: string; readonly installed: boolean }[]
  readonly pack: string | undefined
}): Finding {
  const packs = machine.packs.filter(({ name }) => /cuda|vulkan|metal/.test(name))
  const used = packs.find(({ name }) => name === machine.pack)
  if (used !== undefined) return { name: 'gpu', good: true, text: `layers go to the GPU by ${used.name}` }
  const names = packs.map(({ name }) => name).join(' or ')
  if (packs.length === 0)
    return { name: 'gpu', good: true, text: 'no GPU pack exists for this platform; the CPU computes' }
  const nvidia = existsSync('/proc/driver/nvidia/version') || existsSync('/dev/nvidia0')
  const other = existsSync('/dev/dri')
  if (!nvidia && !other) return { name: 'gpu', good: true, text: 'no GPU is visible here; the CPU computes' }
  const wanted = nvidia
    ? packs.find(({ name }) => name.endsWith('cuda'))
    : packs.find(({ name }) => name.endsWith('vulkan'))
  return {
    name: 'gpu',
    good: false,
    text: `${nvidia ? 'an NVIDIA GPU' : 'a GPU'} is here, and ${names} is not installed; run npm install ${wanted?.name ?? names}`,
  }
}

/** The proof: the bundled model answers. */
async function tryModel(io: Io): Promise<Finding> {
  if (!existsSync(bundledModel))
    return { name: 'model', good: false, text: `the bundled model is missing at ${bundledModel}` }
  const { openTerminalModel, speedLine } = await import('./local-model.ts')
  const values = {
    model: '',
    url: undefined,
    apiKey: undefined,
    lora: undefined,
    system: '',
    maxTokens: 64,
    temperature: 0,
    seed: undefined,
  }
  try {
    const model = await openTerminalModel(values, io)
    try {
      const answer = await model.answer([{ role: 'user', content: 'Hello!' }], () => undefined, io.stop)
      return { name: 'model', good: answer.completionTokens > 0, text: `nano answers: ${speedLine(answer)}` }
    } finally {
      await model.close()
    }
  } catch (error) {
    return { name: 'model', good: false, text: error instanceof Error ? error.message : String(error) }
  }
}
