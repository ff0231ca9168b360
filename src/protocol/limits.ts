import type { OptionValues } from '../core/index.ts'
import type { protocolOptions } from './options.ts'

/** The values of protocolOptions, as the codecs take them. */
export type ProtocolLimits = OptionValues<typeof protocolOptions>
