import { fileURLToPath } from 'node:url'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { Endpoint } from './evaluation/endpoint.ts'
import { countByVote, countRight, heldOutProblems, perplexity } from './evaluation/evaluation.ts'
import { serveFile } from './evaluation/local-server.ts'
import { wilsonInterval } from './evaluation/statistics.ts'

/**
 * `npm run nano:eval`: held-out problems through the real server, as a table by task.
 *
 *   --file <gguf>     serve this file (default: the bundled model); several may be given
 *   --url <url>       use a running server instead, with --model <name>
 *   --count <n>       problems of each task (default 100); --seed <n> draws others
 *   --show-wrong      print each wrong answer
 */
const { values } = parseArgs({
  options: {
    file: { type: 'string', multiple: true, default: [fileURLToPath(new URL('nano.gguf', import.meta.url))] },
    url: { type: 'string' },
    model: { type: 'string', default: 'nano' },
    count: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    task: { type: 'string', multiple: true },
    'show-wrong': { type: 'boolean', default: false },
    'no-votes': { type: 'boolean', default: false },
  },
})

const problems = heldOutProblems(Number(values.seed), Number(values.count))
if (values.url !== undefined) {
  await evaluate({ url: values.url.replace(/\/(v1\/?)?$/, ''), model: values.model }, values.url)
} else {
  const rights = new Map<string, Map<string, number>>()
  for (const file of values.file) {
    const server = await serveFile(file, 'nano')
    rights.set(path.basename(file), await evaluate({ url: server.url, model: 'nano' }, path.basename(file)))
    await server.close()
  }
  if (rights.size > 1) compare(rights)
}

/** Prints what one model does; gives the count of right answers by task. */
async function evaluate(endpoint: Endpoint, title: string): Promise<Map<string, number>> {
  const rights = new Map<string, number>()
  console.log(
    `\n${title}, temperature 0, seed ${values.seed}\n\n| task | right | of | accuracy | 95 % interval |\n| --- | ---: | ---: | ---: | ---: |`,
  )
  for (const [task, rows] of problems) {
    if (values.task !== undefined && !values.task.includes(task)) continue
    const right = await countRight(endpoint, rows, ({ sample }, said) => {
      if (values['show-wrong'])
        console.log(
          `  ${JSON.stringify(sample.turns.at(-1)?.user)} -> ${JSON.stringify(said)}, wanted ${JSON.stringify(sample.check)}`,
        )
    })
    rights.set(task, right)
    const [low, high] = wilsonInterval(right, rows.length)
    console.log(
      `| ${task} | ${right} | ${rows.length} | ${percent(right / rows.length)} | ${percent(low)} to ${percent(high)} |`,
    )
  }
  const asked = [...problems].filter(([task]) => values.task === undefined || values.task.includes(task))
  console.log(
    `\nPerplexity of the right answers: ${(
      await perplexity(
        endpoint,
        asked.flatMap(([, rows]) => rows),
      )
    ).toFixed(3)}`,
  )
  const voted = problems.get('arithmetic, 3 digits') ?? []
  if (values['no-votes'] || voted.length === 0) return rights
  console.log(
    '\nArithmetic with 3 digits at temperature 0.8, by majority vote:\n\n| samples | accuracy | 95 % interval |\n| ---: | ---: | ---: |',
  )
  for (const { samples, right } of await countByVote(endpoint, voted, [1, 4, 16], 0.8)) {
    const [low, high] = wilsonInterval(right, voted.length)
    console.log(`| ${samples} | ${percent(right / voted.length)} | ${percent(low)} to ${percent(high)} |`)
  }
  return rights
}

/** The same problems by file, side by side. */
function compare(rights: ReadonlyMap<string, ReadonlyMap<string, number>>): void {
  const files = [...rights.keys()]
  console.log(`\n| task | ${files.join(' | ')} |\n| --- |${' ---: |'.repeat(files.length)}`)
  for (const [task, rows] of problems) {
    const shares = files.map((file) => rights.get(file)?.get(task)).filter((right) => right !== undefined)
    if (shares.length === files.length) {
      console.log(`| ${task} | ${shares.map((right) => percent(right / rows.length)).join(' | ')} |`)
    }
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}
