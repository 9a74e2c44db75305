import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ChannelAdapter } from '@salvor/shared/ports/channel'
import type { EngineAdapter } from '@salvor/shared/ports/engine'
import type { StoreAdapter } from '@salvor/shared/ports/store'

export type AdapterRole = 'engine' | 'store' | 'channel'

interface AdapterOf {
  engine: EngineAdapter
  store: StoreAdapter
  channel: ChannelAdapter
}

/** Adapters by the kind that a configuration names. */
export interface Adapters {
  /** Null: there is none of that kind. An adapter that is there and does not load throws. */
  load<R extends AdapterRole>(role: R, kind: string): Promise<AdapterOf[R] | null>
  /** Kinds there are, for error texts and the published schema. */
  kinds(role: AdapterRole): Promise<readonly string[]>
}

/** A kind becomes part of a package name, so nothing else may be in it. */
const KIND = /^[a-z][a-z0-9-]*$/

/** The packages `@salvor/<role>-<kind>` that are installed: adding one is adding its folder. */
export const installedAdapters: Adapters = {
  async load<R extends AdapterRole>(role: R, kind: string): Promise<AdapterOf[R] | null> {
    if (!KIND.test(kind) || !(await installedKinds(role)).includes(kind)) return null
    const module = (await import(`@salvor/${role}-${kind}`)) as { readonly adapter?: AdapterOf[R] }
    if (module.adapter?.kind !== kind) throw new TypeError(`@salvor/${role}-${kind} exports no adapter of that kind`)
    return module.adapter
  },
  kinds: installedKinds,
}

/** Looks where `import` would: in each node_modules from here upwards. */
async function installedKinds(role: AdapterRole): Promise<readonly string[]> {
  const kinds = new Set<string>()
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    for (const name of await names(join(folder, 'node_modules', '@salvor'))) {
      if (name.startsWith(`${role}-`)) kinds.add(name.slice(role.length + 1))
    }
    if (folder === dirname(folder)) return [...kinds].toSorted()
  }
}

async function names(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(() => [])
}
