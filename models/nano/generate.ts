import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { createRandom } from '../../src/core/index.ts'
import { renderChat } from './chat-text.ts'
import { drawSample, polishTasks, systemMessage, tasks, trainingConversation } from './corpus/conversation.ts'

/**
 * Writes the training data as JSON lines: `{task, parts}`, parts alternating between what is read and what is
 * learned. With `--polish`, the shares of the last part of training. With `--held-out`, single problems of the other side of the split, evenly over the tasks.
 *
 *   node models/nano/generate.ts --count 300000 --seed 1 --out train.jsonl
 */
const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    most: { type: 'string', default: '6' },
    polish: { type: 'boolean', default: false },
    'held-out': { type: 'boolean', default: false },
    out: { type: 'string' },
  },
})
if (values.out === undefined) throw new TypeError('Say where to write: --out <file>.')

const random = createRandom(Number(values.seed))
const file = createWriteStream(values.out)
for (let at = 0; at < Number(values.count); at++) {
  const line = values['held-out'] ? heldOutLine(at) : trainingLine()
  if (line === undefined) continue
  if (!file.write(`${JSON.stringify(line)}\n`)) await once(file, 'drain')
}
file.end()
await once(file, 'finish')

function trainingLine() {
  const conversation = trainingConversation(random, Number(values.most), values.polish ? polishTasks : tasks)
  return { task: conversation.task, parts: renderChat(conversation) }
}

function heldOutLine(at: number) {
  const [task] = tasks[at % tasks.length] ?? tasks[0]!
  const sample = drawSample(random, task, true)
  if (sample === undefined) return undefined
  const conversation = {
    task: sample.task,
    system: systemMessage(random),
    tools: sample.tools ?? [],
    turns: sample.turns,
  }
  return { task: sample.task, parts: renderChat(conversation) }
}
