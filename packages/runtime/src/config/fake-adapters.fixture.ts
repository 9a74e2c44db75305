import type { Channel, ChannelAdapter } from '@salvor/shared/ports/channel'
import type { Engine, EngineAdapter } from '@salvor/shared/ports/engine'
import type { Store, StoreAdapter } from '@salvor/shared/ports/store'
import { ByteSize } from '@salvor/shared/vocabulary/source'
import { z } from 'zod'
import type { AdapterRole, Adapters } from '../adapters/installed-adapters.ts'

type AnyAdapter = EngineAdapter | StoreAdapter | ChannelAdapter

interface Wanted {
  readonly types?: readonly ('full' | 'incremental')[]
}

/** Adapters that hold what they were opened with: `filedb`, `disk` (local), `bucket` (not local, with a secret), `bell`. */
export function fakeAdapters({ types = ['full'] }: Wanted = {}): Adapters {
  const all: Record<AdapterRole, Record<string, AnyAdapter>> = {
    engine: { filedb: fileDatabase(types) },
    store: { disk: store('disk', Disk, [], false), bucket: store('bucket', Bucket, ['secret_key'], true) },
    channel: { bell },
  }
  return {
    load: (role, kind) => Promise.resolve((all[role][kind] ?? null) as never),
    kinds: (role) => Promise.resolve(Object.keys(all[role]).toSorted()),
  }
}

const Disk = z.strictObject({
  path: z.string().min(1),
  limit: ByteSize.optional(),
  later: z.never('is not available yet').optional(),
})
const Bucket = z.strictObject({ bucket: z.string(), secret_key: z.string() })

function store(kind: string, schema: z.ZodType, secrets: readonly string[], remote: boolean): StoreAdapter {
  const capabilities = { remote, objectLock: false, replace: false }
  const open = (name: string, config: unknown): Store =>
    ({ name, kind, config, capabilities, close: () => Promise.resolve() }) as unknown as Store
  return { kind, schema, secrets, open }
}

function fileDatabase(types: EngineAdapter['types']): EngineAdapter {
  const schema = z.strictObject({ path: z.string().min(1) })
  return {
    kind: 'filedb',
    schema,
    secrets: [],
    artifact: 'db',
    types,
    open: (config) => ({ config }) as unknown as Engine,
  }
}

const bell: ChannelAdapter = {
  kind: 'bell',
  schema: z.strictObject({ url: z.string() }),
  secrets: ['url'],
  open: (name, config, install) => ({ name, config, install }) as unknown as Channel,
}
