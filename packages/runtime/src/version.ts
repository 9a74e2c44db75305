import { readFileSync } from 'node:fs'

/** The version of this Salvor, as manifests name it. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { readonly version: string }
).version
