export { SseReader, type SseEvent, type SseReaderOptions } from './sse-reader.ts'
