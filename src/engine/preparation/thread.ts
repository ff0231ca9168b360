/** A thread that prepares requests of one model: chat templates and schemas are run here, not where clients are served. */
import { workerData } from 'node:worker_threads'
import { answerTasks } from '../answer-tasks.ts'
import { createPreparation } from './prepare.ts'
import type { PreparationData } from '../preparation-tasks.ts'

answerTasks(createPreparation(workerData as PreparationData))
