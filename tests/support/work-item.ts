import type { WorkItem } from '../../src/scheduler/index.ts'

/** A chat of one sequence that any replica can serve, where a test does not say otherwise. */
export function createWorkItem(fields: Partial<WorkItem> = {}): WorkItem {
  return {
    model: 'm',
    operation: 'chat',
    sequences: 1,
    promptTokens: 10,
    maxTokens: undefined,
    affinityKey: undefined,
    tenant: undefined,
    needs: [],
    whole: false,
    ...fields,
  }
}
