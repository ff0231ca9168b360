import { mockOptions } from '../mock/options.ts'
import { defineCommand } from './command.ts'

export const mock = defineCommand({
  name: 'mock',
  summary: 'Serve the OpenAI API with a stated latency model, faults included, to test clients against',
  options: mockOptions,
  service: true,
  examples: [
    'tokenmill mock --port 8090',
    'tokenmill mock --ttft lognormal:200ms,0.5 --itl gamma:20ms,0.3 --fault disconnect:0.01 --fault stall:0.02:3s',
    'tokenmill mock --steps base=8ms,seq=0.05ms,prefill=0.02ms,context=0.01ms,chunk=2048 --max-running 256',
  ],
  async run(values, _positionals, io) {
    const { startMock, toMockSettings } = await import('../mock/index.ts')
    const settings = toMockSettings(values)
    const server = await startMock(settings)
    io.stdout.write(
      `Mock of ${settings.engine.models.join(', ')} on ${server.url} (seed ${settings.seed}). Ctrl-C stops it.\n`,
    )
    await new Promise<void>((resolve) => {
      if (io.stop.aborted) resolve()
      else io.stop.addEventListener('abort', () => resolve(), { once: true })
    })
    await server.close()
    const totals = server.totals()
    io.stdout.write(`Stopped after ${totals.requests} answers and ${totals.generatedTokens} tokens.\n`)
    return 0
  },
})
