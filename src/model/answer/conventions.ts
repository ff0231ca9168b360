import type { CallConvention } from './call-convention.ts'
import {
  apriel,
  command,
  deepseek,
  deepseekFenced,
  deepseekV32,
  deepseekV4,
  functionary,
  functionaryTags,
  gemma,
  glm,
  granite,
  harmony,
  hermes,
  kimi,
  kimiTagged,
  lfm,
  llama,
  minimax,
  minimaxElements,
  mistral,
  mistralList,
  nemotron,
  phi,
  qwenTagged,
  seed,
  solar,
} from './families.ts'

/**
 * By what their templates show; the first that fits. A mark that others contain comes behind them. All of one line's
 * texts must be there.
 */
const shown: readonly (readonly [CallConvention, ...(string | RegExp)[]])[] = [
  [harmony, '<|channel|>', '<|message|>'],
  [solar, '<|tool_call:begin|>'],
  [kimiTagged, '<|open|>', '<|close|>'],
  [kimi, '<|tool_call_begin|>'],
  [deepseekFenced, '<｜tool▁call▁begin｜>', '```json'],
  [deepseek, '<｜tool▁call▁begin｜>'],
  [deepseekV32, '｜DSML｜', /function_calls>/],
  [deepseekV4, '｜DSML｜'],
  [gemma, '<|tool_call>call:'],
  [lfm, '<|tool_call_start|>'],
  [minimaxElements, ']<]minimax[>['],
  [minimax, '<minimax:tool_call>'],
  [seed, '<seed:tool_call>'],
  [nemotron, '<TOOLCALL>'],
  [command, '<|START_ACTION|>'],
  [mistral, '[TOOL_CALLS]', '[ARGS]'],
  [mistralList, '[TOOL_CALLS]'],
  [functionary, '>>>all'],
  [phi, '<|tool_call|>', '<|/tool_call|>'],
  [granite, '<|tool_call|>'],
  [qwenTagged, '<tool_call>', '<function='],
  [glm, '<tool_call>', '<arg_key>'],
  [hermes, '<tool_call>'],
  [apriel, '<tool_calls>'],
  [functionaryTags, '<function=', '</function>'],
  [llama, /"parameters": dictionary of argument name|<\|python_tag\|>/],
]

/** The family that a chat template belongs to; undefined where none is known. */
export function conventionOf(template: string): CallConvention | undefined {
  const fits = (mark: string | RegExp): boolean =>
    typeof mark === 'string' ? template.includes(mark) : mark.test(template)
  return shown.find(([, ...marks]) => marks.every(fits))?.[0]
}

/** The family of that name; undefined where none is known. */
export function conventionNamed(name: string): CallConvention | undefined {
  return shown.find(([{ name: known }]) => known === name)?.[0]
}
