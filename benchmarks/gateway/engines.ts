/**
 * Many engines in one process, for watching alone: each has its own port, a list of models, a health page, and a
 * metrics page of the size and the make of vLLM's, which gives the metrics named in `name[]` alone as Prometheus' client
 * for Python does. Run with the number of engines, and `whole` for pages that do not; prints their addresses.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const pageBytes = 100_000

function metricsPage(): Buffer {
  const head = [
    'vllm:num_requests_running{engine="0",model_name="org/model"} 7',
    'vllm:num_requests_waiting{engine="0",model_name="org/model"} 3',
    'vllm:kv_cache_usage_perc{engine="0",model_name="org/model"} 0.42',
    'vllm:prefix_cache_queries_total{engine="0",model_name="org/model"} 123456',
    'vllm:prefix_cache_hits_total{engine="0",model_name="org/model"} 45678',
    'vllm:num_preemptions_total{engine="0",model_name="org/model"} 2',
  ]
  const histograms = Array.from(
    { length: 1_200 },
    (_, at) =>
      `vllm:time_to_first_token_seconds_bucket{engine="0",le="${at * 0.01}",model_name="org/model"} ${at * 31}`,
  )
  // The wanted lines stand among the others, as they do in vLLM.
  const lines = histograms.toSpliced(600, 0, ...head)
  return Buffer.from(`${lines.join('\n')}\n`.padEnd(pageBytes, '# a comment of some length\n'))
}

const page = metricsPage()
const lines = page.toString().split('\n')
const namesHeeded = process.argv[3] !== 'whole'

function pageFor(url: URL): Buffer {
  const names = new Set(namesHeeded ? url.searchParams.getAll('name[]') : [])
  if (names.size === 0) return page
  const named = lines.filter((line) => names.has(line.slice(0, line.indexOf('{'))))
  return Buffer.from(`${named.join('\n')}\n`)
}

const answers = new Map<string, Buffer>()
const list = JSON.stringify({ data: [{ id: 'org/model', owned_by: 'vllm' }] })
const urls = await Promise.all(
  Array.from({ length: Number(process.argv[2] ?? 100) }, async () => {
    const server = createServer((request, response) => {
      const asked = request.url ?? '/'
      if (asked.startsWith('/metrics')) {
        const answer = answers.get(asked) ?? pageFor(new URL(asked, 'http://engine'))
        answers.set(asked, answer)
        response.end(answer)
      } else if (asked === '/v1/models') response.end(list)
      else response.end()
    })
    server.keepAliveTimeout = 60_000
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }),
)
console.log(`${urls.join(' ')} end`)
