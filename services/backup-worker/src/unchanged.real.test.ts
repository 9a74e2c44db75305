import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { createDispatch } from '@salvor/runtime/dispatch/dispatch'
import { openRuntime } from '@salvor/runtime/open-runtime'
import type { Deps } from '@salvor/shared/ports/service'
import type { Run } from '@salvor/shared/vocabulary/run'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { backupWorker } from './service.ts'

/** Files are marked when they are this old. */
const SETTLED_MS = 3_500

/** The worker on a real catalog and a real local store; what heavy work would begin with is counted. */
async function openWorld() {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-worker-'))
  const path = (name: string): string => join(folder, name)
  createClinic(path('clinic.db'), { rows: 500 })
  writeFileSync(
    path('salvor.yaml'),
    `stores: { local: { kind: local, path: ./backups } }
sources: { clinic: { engine: sqlite, path: ./clinic.db, verify: { full: none, incremental: none }, max_chain: 2 } }
`,
  )
  const runtime = await openRuntime({ config_file: path('salvor.yaml'), env: process.env, openCatalog })
  const asked: string[] = []
  const told =
    <A extends readonly unknown[], R>(what: string, ask: (...given: A) => R) =>
    (...given: A): R => {
      asked.push(what)
      return ask(...given)
    }
  const deps: Deps = {
    ...runtime.deps,
    store: told('store', (name) => runtime.deps.store(name)),
    lease: told('lease', (name) => runtime.deps.lease(name)),
    tasks: {
      run(...given) {
        asked.push('task')
        return runtime.deps.tasks.run(...given)
      },
    },
  }
  const { catalog } = deps
  const dispatch = createDispatch({ definitions: [backupWorker], deps, holder: runtime.holder, random: () => 0 })
  return {
    catalog,
    path,
    change(sql: string): void {
      const database = new DatabaseSync(path('clinic.db'))
      database.exec(sql)
      database.close()
    },
    /** One run as the scheduler plans it, and what it asked for. */
    async scheduled(type: 'full' | 'incremental' = 'incremental') {
      const params = {
        source: 'clinic',
        type,
        retention_class: type,
        trigger: 'schedule',
        scheduled_for: null,
      } as const
      const { config_hash } = deps.settings().sources.get('clinic')!
      const run = await catalog.transaction({ service: 'scheduler' }, (tx) =>
        tx.enqueue({ job: 'take-backup', source: 'clinic', config_hash, params }),
      )
      asked.length = 0
      const begun = performance.now()
      await dispatch.executeRun(run.id)
      const ms = performance.now() - begun
      const ended: Run = (await catalog.run(run.id))!
      expect(ended.error).toBeNull()
      return { result: ended.result as Record<string, unknown>, asked: [...asked], ms }
    },
    backups: async () => (await catalog.backups({ source: 'clinic' })).map(({ type }) => type),
    async [Symbol.asyncDispose]() {
      await runtime[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

test('a scheduled incremental of what nobody wrote to asks for no lease, no process and no store', async () => {
  await using world = await openWorld()
  await pause(SETTLED_MS)
  const full = await world.scheduled('full')
  expect(full.asked).toEqual(expect.arrayContaining(['lease', 'task']))
  const same = await world.scheduled()
  expect(same).toMatchObject({
    asked: [],
    result: { skipped: expect.any(String), backup_id: full.result['backup_id'] },
  })
  const times = [same.ms]
  for (let turn = 0; turn < 8; turn += 1) times.push((await world.scheduled()).ms)
  console.log(`a run of an unchanged source: ${times.map((ms) => `${ms.toFixed(1)} ms`).join(', ')}`)
  expect(await world.backups()).toEqual(['full'])

  // What is asked for by hand is stored, and a full reads everything.
  expect((await world.scheduled('full')).asked).toContain('task')
  world.change('UPDATE patients SET seen = 1 WHERE id = 7')
  const changed = await world.scheduled()
  expect(changed.asked).toContain('task')
  expect(await world.backups()).toEqual(['incremental', 'full', 'full'])

  // Young when it was backed up: looked at once more, by its pages; then the mark of that look counts.
  await pause(SETTLED_MS)
  const looked = await world.scheduled()
  expect(looked).toMatchObject({ result: { skipped: expect.any(String), backup_id: changed.result['backup_id'] } })
  expect(looked.asked).toContain('task')
  expect((await world.scheduled()).asked).toEqual([])
})

test('what nobody wrote to is looked at all the same where the backup that holds it is bad', async () => {
  await using world = await openWorld()
  await pause(SETTLED_MS)
  const first = await world.scheduled('full')
  const second = await world.scheduled('full')
  expect((await world.scheduled()).result).toMatchObject({ backup_id: second.result['backup_id'] })
  await world.catalog.transaction({ service: 'verifier' }, (tx) =>
    tx.recordVerification({
      id: '019ac2f0-0000-7000-8000-000000000001',
      backup_id: String(second.result['backup_id']),
      store: 'local',
      level: 'checksum',
      ok: false,
      checks: [],
      started_at: tx.now,
      duration_ms: 1,
    }),
  )
  // The full before it holds the same state, and says so.
  const after = await world.scheduled()
  expect(after).toMatchObject({ asked: [], result: { backup_id: first.result['backup_id'] } })
  rmSync(world.path('clinic.db'))
  createClinic(world.path('clinic.db'), { rows: 500 })
  await pause(SETTLED_MS)
  expect((await world.scheduled()).asked).toContain('task')
})
