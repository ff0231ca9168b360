import chromium from '@sparticuz/chromium'
import { chromium as browserType, type Browser } from 'playwright-core'

/** A headless Chromium that came by npm. The sandbox needs rights that build machines withhold. */
export async function launchBrowser(): Promise<Browser> {
  // The package's own arguments ask for one process, which ends with its last page.
  const args = chromium.args.filter((argument) => !['--single-process', '--no-zygote'].includes(argument))
  return browserType.launch({ executablePath: await chromium.executablePath(), args: [...args, '--no-sandbox'] })
}
