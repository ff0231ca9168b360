export { plain, slice, type Ranges, type Text } from './marked-text.ts'
export { parseTemplate, type ParsedTemplate } from './template.ts'
export { toText, toValue, type Callable, type Value } from './values.ts'
