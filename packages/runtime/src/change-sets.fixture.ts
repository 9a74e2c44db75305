import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { compactions } from '@salvor/policy/compaction'
import { copyChanges } from '@salvor/repository/copy-changes'
import { writeChanges } from '@salvor/repository/write-changes'
import type { Deps } from '@salvor/shared/ports/service'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { stateOf, type ChangePiece, type StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { type Instant, shifted } from '@salvor/shared/vocabulary/instant'
import { chainAddresses } from './chain-addresses.ts'
import { changeSetsOf, changesInput, setInput } from './change-facts.ts'
import { systemClock, systemIds } from './clock.ts'
import { openRuntime } from './open-runtime.ts'
import { planChangesOf } from './plan-changes-of.ts'
import { inlineTasks } from './tasks/inline-tasks.ts'
import { VERSION } from './version.ts'

const PAGE = 1024
const never = new AbortController().signal

/** What the database was at an instant. */
export interface Truth {
  readonly at: Instant
  readonly sha256: string
}

/**
 * A database with a backup and change sets at instants that a test names, in a real catalog and in real stores; `now` is the
 * catalog's clock, which a test may set forward.
 */
export async function openChangeWorld() {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-changes-'))
  const path = (name: string): string => join(folder, name)
  const database = new DatabaseSync(path('desk.db'))
  database.exec(
    `PRAGMA page_size = ${PAGE}; PRAGMA auto_vacuum = FULL; PRAGMA synchronous = OFF; CREATE TABLE t (id INTEGER PRIMARY KEY, x)`,
  )
  database.exec(
    'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO t SELECT i, hex(randomblob(100)) FROM n',
  )
  writeFileSync(
    path('salvor.yaml'),
    `stores: { local: { kind: local, path: ./backups }, second: { kind: local, path: ./second } }
sources: { desk: { engine: sqlite, path: ./desk.db, schedule: { changes: 60s }, checks: ["SELECT count(*) > 0 FROM t"] } }
`,
  )
  const runtime = await openRuntime({ config_file: path('salvor.yaml'), env: process.env, openCatalog })
  const { catalog } = runtime.deps
  let now: Instant | null = null
  const tasks = inlineTasks({ config: () => runtime.config(), clock: systemClock, log: runtime.deps.log })
  const deps: Deps = { ...runtime.deps, tasks, catalog: { ...catalog, now: async () => now ?? (await catalog.now()) } }
  let pages = pagesOf(path('desk.db'))
  let last: StoredChangeSet | null = null
  const truths: Truth[] = []

  return {
    deps,
    forked: runtime.deps.tasks,
    holder: runtime.holder,
    path,
    truths,
    setNow: (at: Instant): void => void (now = at),
    async backup(): Promise<BackupWithCopies> {
      const about = {
        backup_id: systemIds.next(),
        source: 'desk',
        store: 'local',
        type: 'full',
        retention_class: 'full',
      } as const
      const timestamp = systemClock.now()
      const filename_stem = `backup_full_${timestamp.slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '_')}`
      const more = { retention_until: null, timestamp, filename_stem, chain: [] }
      const input = { ...about, ...more, skip_unchanged: false, offline_target: null }
      const taken = await tasks.run('snapshot', input, () => undefined, never)
      const { backup } = taken!
      await catalog.transaction({ service: 'backup-worker' }, async (tx) => {
        await tx.registerSource({ name: 'desk', engine: 'sqlite', pool: null, config_hash: 'h' })
        await tx.recordBackup(backup)
        const copy = { backup_id: backup.id, store: 'local', key: `desk/${backup.filename}`, upload: null }
        await tx.recordCopy({ ...copy, state: 'completed', stored_at: tx.now })
      })
      return await catalog.backup(backup.id)
    },
    async prove(backup: BackupWithCopies): Promise<void> {
      const looked = { id: systemIds.next(), started_at: systemClock.now(), duration_ms: 1 }
      const found = { backup_id: backup.id, store: 'local', level: 'restore', ok: true, checks: [] } as const
      await catalog.transaction({ service: 'verifier' }, (tx) => tx.recordVerification({ ...looked, ...found }))
    },
    /** Changes something, and stores what changed as the set of that instant in the first store. `spoil`: what it stores is not what was changed. */
    async change(base: BackupWithCopies, at: Instant, sql: string, spoil = false): Promise<StoredChangeSet> {
      database.exec(sql)
      const newer = pagesOf(path('desk.db')).map((page, n) => (spoil && n > 1 ? Buffer.alloc(PAGE, 7) : page))
      const changed = newer.flatMap((page, n) => (pages[n]?.equals(page) ? [] : [n]))
      pages = newer
      const first = last === null
      const piece: ChangePiece = {
        base: base.id,
        method: first ? 'scan' : 'log',
        stands_on: first ? 'base' : 'previous',
        previous: last && stateOf(last),
        lost: null,
        from_at: first ? base.consistent_at : shifted(at, -1),
        to_at: at,
        page_size: PAGE,
        page_count: newer.length,
        pages: changed.length,
        state_sha256: null,
        position: null,
      }
      const how = {
        keyring: deps.keyring,
        encrypt: false,
        allowPlain: false,
        level: 1,
        source: 'desk',
        id: systemIds.next(),
      }
      const when = { timestamp: systemClock.now(), tool_version: VERSION }
      const content = (): Buffer[] => contentOf(newer, changed)
      const file = await writeChanges({ store: deps.store('local'), ...how, ...when, piece, content }, never)
      await catalog.transaction({ service: 'backup-worker' }, (tx) => tx.recordChangeSet(file, 'local'))
      truths.push({ at, sha256: sha256(path('desk.db')) })
      last = { ...file, store: 'local', leaving_at: null }
      return last
    },
    /** Brings a set to the other store. */
    async copy({ base, name, document_sha256 }: StoredChangeSet): Promise<void> {
      const stores = { from: deps.store('local'), to: deps.store('second'), keyring: deps.keyring }
      const file = await copyChanges({ ...stores, source: 'desk', base, name, document_sha256 }, never)
      await catalog.transaction({ service: 'replicator' }, (tx) => tx.recordChangeSet(file, 'second'))
    },
    /** As the worker does it. */
    async compact(): Promise<void> {
      for (;;) {
        const due = compactions(await changeSetsOf(deps, 'desk', null), await deps.catalog.now())
        if (due.length === 0) return
        const asked = due.map(({ inputs, piece }) => {
          return { sets: inputs.map(setInput), piece, page_count: inputs.at(-1)!.page_count }
        })
        const input = { source: 'desk', store: 'local', compactions: asked }
        const { made } = await tasks.run('compact', input, () => undefined, never)
        await catalog.transaction({ service: 'backup-worker' }, async (tx) => {
          for (const file of made) if ('document_sha256' in file) await tx.recordChangeSet(file, 'local')
        })
      }
    },
    /** The file of a set's content. */
    fileOf(store: 'backups' | 'second', { base, name }: StoredChangeSet): string {
      return join(path(store), 'desk/changes', base, `${name}.zst`)
    },
    async sets(store: string, leaving = false): Promise<StoredChangeSet[]> {
      const found: StoredChangeSet[] = []
      for await (const set of catalog.changeSets({ source: 'desk', store, leaving })) found.push(set)
      return found
    },
    /** What comes back at an instant, and by how many sets. */
    async restored(at: Instant, from: string | null = null) {
      const target = path('back.db')
      rmSync(target, { force: true })
      const plan = await planChangesOf(deps, { source: 'desk', target: { kind: 'time', at }, backup_id: null }, from)
      const chain = chainAddresses(await catalog.chain(plan.backup_id), null)
      const input = { source: 'desk', chain, target, in_place: false, changes: changesInput(plan) }
      await tasks.run('restore', input, () => undefined, never)
      return { sha256: sha256(target), sets: plan.sets.length, first: plan.sets[0] }
    },
    async [Symbol.asyncDispose]() {
      database.close()
      await runtime[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function pagesOf(file: string): Buffer[] {
  const bytes = readFileSync(file)
  return Array.from({ length: bytes.length / PAGE }, (_, n) => bytes.subarray(n * PAGE, (n + 1) * PAGE))
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}

/** As docs/format.md section 12 has it. */
function contentOf(pages: readonly Buffer[], changed: readonly number[]): Buffer[] {
  const head = { format: 'salvor-pages', version: 1, page_size: PAGE, page_count: pages.length, salt: '' }
  const numbers = Buffer.alloc(4 + 4 * changed.length)
  numbers.writeUInt32BE(changed.length, 0)
  for (const [n, page] of changed.entries()) numbers.writeUInt32BE(page + 1, 4 + 4 * n)
  const group = changed.length === 0 ? [] : [numbers, ...changed.flatMap((page) => pages[page] ?? [])]
  return [Buffer.from(`${JSON.stringify(head)}\n`), ...group, Buffer.alloc(4)]
}
