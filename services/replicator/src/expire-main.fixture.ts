import { openCatalog } from '@salvor/catalog/open-catalog'
import { createDispatch } from '@salvor/runtime/dispatch/dispatch'
import { openRuntime } from '@salvor/runtime/open-runtime'
import type { Catalog, CatalogTransaction } from '@salvor/shared/ports/catalog'
import type { Deps } from '@salvor/shared/ports/service'
import type { Store } from '@salvor/shared/ports/store'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { replicator } from './service.ts'

// A process that thins out the change sets of `desk` up to a point, says so, and stands still there until it is killed.

const [config_file, now, point, count] = process.argv.slice(2) as [
  string,
  Instant,
  'marked' | 'deleting' | 'forgetting',
  string,
]
await using runtime = await openRuntime({ config_file, env: process.env, openCatalog })
const { catalog } = runtime.deps

async function standStill(): Promise<never> {
  process.send!('here')
  return await new Promise<never>(() => setInterval(() => undefined, 1_000))
}

const over = <T extends object>(base: T, some: Partial<T>): T =>
  new Proxy(base, {
    get: (target, key) => {
      const value: unknown = Reflect.get(Object.hasOwn(some, key) ? some : target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
let deleted = 0
const stopping = (store: Store): Store =>
  over(store, {
    delete: async (key, signal) => {
      if (point === 'deleting' && deleted === Number(count)) await standStill()
      await store.delete(key, signal)
      deleted += 1
    },
  })
const transaction: Catalog['transaction'] = async (cause, work) => {
  let marked = false
  const result = await catalog.transaction(cause, (tx) => {
    const watched: Partial<CatalogTransaction> = {
      leaveChangeSets: (sets, leaving) => {
        marked ||= leaving
        return tx.leaveChangeSets(sets, leaving)
      },
      forgetChangeSets: (sets) => (point === 'forgetting' ? standStill() : tx.forgetChangeSets(sets)),
    }
    return work(over(tx, watched))
  })
  if (point === 'marked' && marked) await standStill()
  return result
}
const deps: Deps = {
  ...runtime.deps,
  store: (name) => stopping(runtime.deps.store(name)),
  catalog: over(catalog, { transaction, now: async () => now }),
}
const dispatch = createDispatch({ definitions: [replicator], deps, holder: runtime.holder, random: () => 0 })
const job = { job: 'expire-changes', source: 'desk', params: { source: 'desk' } } as const
const run = await catalog.transaction({ service: 'cli' }, (tx) => tx.enqueue(job))
await dispatch.executeRun(run.id)
process.send!('ended')
