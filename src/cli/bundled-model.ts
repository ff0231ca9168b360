import { fileURLToPath } from 'node:url'

/** The model in the box, two folders up from src/cli and dist/cli alike. */
export const bundledModel = fileURLToPath(new URL('../../models/nano/nano.gguf', import.meta.url))
