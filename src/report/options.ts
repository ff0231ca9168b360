import { z } from 'zod'
import { defineOptions } from '../core/index.ts'

/** Limits of a report page. */
export const reportOptions = defineOptions({
  maxReportPoints: {
    schema: z.coerce.number().int().positive(),
    default: 50_000,
    help: 'Most points that all plots of one page may hold',
    unit: 'points',
    reason: 'a phone still draws them in under two seconds; more belongs in a file beside the page',
  },
  maxReportRows: {
    schema: z.coerce.number().int().positive(),
    default: 5_000,
    help: 'Most rows of one table of a page',
    unit: 'rows',
    reason: 'browsers lay out longer tables slowly, and nobody reads them',
  },
})
