import type { FinishReason } from '../../inference/index.ts'

/** OpenAI's word. A function that the client itself named ends with `stop`, as if it were the text asked for. */
export function toFinishReason(reason: FinishReason, namedTool: boolean): string {
  switch (reason) {
    case 'stop':
    case 'length':
      return reason
    case 'toolCalls':
      return namedTool ? 'stop' : 'tool_calls'
    case 'contentFilter':
      return 'content_filter'
  }
}
