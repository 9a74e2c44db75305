import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { backupKeys, stemOf } from '@salvor/repository/layout'
import type { EngineAdapter, EngineContext } from '@salvor/shared/ports/engine'
import type { Log } from '@salvor/shared/ports/log'
import type { Tasks, TaskTable } from '@salvor/shared/ports/tasks'
import type { Backup } from '@salvor/shared/vocabulary/backup'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { describe, expect, onTestFinished, test } from 'vitest'
import { installedAdapters, type Adapters } from '../adapters/installed-adapters.ts'
import { systemClock, systemIds } from '../clock.ts'
import { loadConfig } from '../config/load-config.ts'
import type { LoadedConfig } from '../config/loaded-config.ts'
import { createLog } from '../log.ts'
import { forkTasks } from '../task-process.ts'
import { inlineTasks } from './inline-tasks.ts'

const silent: Log = createLog({ level: 'error', secrets: () => [], write: () => {} })
const never = new AbortController().signal
const SOURCE = `  app:
    engine: sqlite
    path: ./app.db
    checks: [ "SELECT count(*) = 1000 FROM patients" ]
`
const OTHER = `  other: { engine: sqlite, path: ./other.db }
`

/** The installed adapters, each engine also able to restore for a source that is gone. */
const restoring: Adapters = {
  ...installedAdapters,
  load: async (role, kind) => {
    const adapter = await installedAdapters.load(role, kind)
    if (role !== 'engine' || !adapter) return adapter
    const engine = adapter as EngineAdapter<{ path: string }>
    return { openForRestore: (context: EngineContext) => engine.open({ path: '' }, context), ...engine } as never
  },
}

async function site(kind: 'forked' | 'inline') {
  const folder = await mkdtemp(join(tmpdir(), 'salvor-tasks-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  makeDatabase(join(folder, 'app.db'))
  const configure = async (sources: string): Promise<LoadedConfig> => {
    const file = join(folder, 'salvor.yaml')
    await writeFile(file, `stores: { local: { kind: local, path: ./backups } }\nsources:\n${sources}`)
    return await loadConfig(file, process.env, restoring)
  }
  let config = await configure(SOURCE + OTHER)
  const base = { config: () => config, log: silent }
  const tasks: Tasks =
    kind === 'inline'
      ? inlineTasks({ ...base, clock: systemClock })
      : forkTasks({ ...base, env: process.env, max_old_space_mb: 128 })
  return {
    folder,
    tasks,
    retire: async () => {
      config = await configure(OTHER)
    },
  }
}

function makeDatabase(file: string): void {
  const database = new DatabaseSync(file)
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE patients (id INTEGER PRIMARY KEY, name TEXT)')
  const insert = database.prepare('INSERT INTO patients (name) VALUES (?)')
  for (let i = 0; i < 1000; i++) insert.run(`patient ${i} ${'x'.repeat(500)}`)
  database.close()
}

function countPatients(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true })
  const { n } = database.prepare('SELECT count(*) AS n FROM patients').get() as { n: number }
  database.close()
  return n
}

async function backUp(tasks: Tasks, wish: Partial<TaskTable['snapshot']['input']> = {}) {
  const timestamp = systemClock.now()
  const type = wish.type ?? 'full'
  const seen: RunProgress[] = []
  const input = {
    backup_id: systemIds.next(),
    source: 'app',
    store: 'local',
    type,
    retention_class: 'full' as const,
    retention_until: null,
    timestamp,
    filename_stem: stemOf(type, timestamp),
    chain: [],
    skip_unchanged: false,
    offline_target: null,
    ...wish,
  }
  const taken = await tasks.run('snapshot', input, (progress) => seen.push(progress), never)
  if (!taken) throw new Error('nothing was stored')
  const { backup } = taken
  return { backup, seen, ...addressOf(backup) }
}

function addressOf(backup: Backup) {
  const stem = backup.filename.slice(0, backup.filename.indexOf('.'))
  return {
    backup_id: backup.id,
    filename: backup.filename,
    store: 'local',
    manifest_key: backupKeys(backup.source, stem).manifest,
    manifest_sha256: backup.manifest_sha256,
  }
}

function address({ backup_id, filename, store, manifest_key, manifest_sha256 }: ReturnType<typeof addressOf>) {
  return { backup_id, filename, store, manifest_key, manifest_sha256 }
}

describe.each(['forked', 'inline'] as const)('%s tasks, SQLite and a local store', (kind) => {
  test('a backup is taken, inspected, proven and restored', async () => {
    const { folder, tasks } = await site(kind)
    const taken = await backUp(tasks)
    expect(taken.backup).toMatchObject({
      source: 'app',
      engine: 'sqlite',
      type: 'full',
      state: 'completed',
      encrypted: false,
    })
    expect(taken.seen.at(-1)).toMatchObject({ done_bytes: taken.backup.source_bytes })

    const { checks } = await tasks.run('inspect', { ...address(taken), level: 'decode' }, () => {}, never)
    expect(checks.filter((check) => !check.ok)).toEqual([])
    expect(checks.map((check) => check.name)).toContain('frames')

    const proof = await tasks.run('prove', { source: 'app', chain: [address(taken)] }, () => {}, never)
    expect(proof.checks.filter((check) => !check.ok)).toEqual([])
    expect(proof.checks.map((check) => check.name).join()).toContain('patients')
    expect(proof.restore_ms).toBeGreaterThan(0)

    const target = join(folder, 'restored.db')
    const request = { source: 'app', chain: [address(taken)], target, in_place: false }
    const restored = await tasks.run('restore', request, () => {}, never)
    expect(restored.recovered_to).toBe(taken.backup.consistent_at)
    expect(countPatients(target)).toBe(1000)
    expect(await readdir(join(folder, 'salvor-data', 'sandbox'))).toEqual([])
  })

  test('a copy with one flipped byte is found, and not restored', async () => {
    const { folder, tasks } = await site(kind)
    const taken = await backUp(tasks)
    const artifact = join(folder, 'backups', 'app', taken.backup.filename)
    const handle = await open(artifact, 'r+')
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, 100)
    await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, 100)
    await handle.close()
    const { checks } = await tasks.run('inspect', { ...address(taken), level: 'checksum' }, () => {}, never)
    expect(checks.filter((check) => !check.ok).length).toBeGreaterThan(0)
    const target = join(folder, 'restored.db')
    const request = { source: 'app', chain: [address(taken)], target, in_place: false }
    await expect(tasks.run('restore', request, () => {}, never)).rejects.toMatchObject({
      code: 'ARTIFACT_CORRUPT',
      exit: 4,
    })
    expect(await readdir(folder)).not.toContain('restored.db')
  })

  test('a check that fails is in the proof', async () => {
    const { folder, tasks } = await site(kind)
    const database = new DatabaseSync(join(folder, 'app.db'))
    database.exec('DELETE FROM patients WHERE id = 7')
    database.close()
    const taken = await backUp(tasks)
    const { checks } = await tasks.run('prove', { source: 'app', chain: [address(taken)] }, () => {}, never)
    expect(checks.filter((check) => !check.ok)).toHaveLength(1)
  })

  test('a backup under the name of another source is refused', async () => {
    const { tasks } = await site(kind)
    const taken = await backUp(tasks)
    const asOther = tasks.run('prove', { source: 'other', chain: [address(taken)] }, () => {}, never)
    await expect(asOther).rejects.toMatchObject({ code: 'MANIFEST_INVALID' })
  })

  test('a restore goes nowhere near a target that is taken', async () => {
    const { folder, tasks } = await site(kind)
    const taken = await backUp(tasks)
    const target = join(folder, 'mine.db')
    await writeFile(target, 'mine')
    const request = { source: 'app', chain: [address(taken)], target, in_place: false }
    await expect(tasks.run('restore', request, () => {}, never)).rejects.toMatchObject({
      code: 'TARGET_NOT_EMPTY',
      exit: 2,
    })
    expect(await readFile(target, 'utf8')).toBe('mine')
  })

  test('what a restore is about to overwrite is backed up as pre_restore', async () => {
    const { folder, tasks } = await site(kind)
    const offline_target = join(folder, 'app.db')
    const { backup } = await backUp(tasks, { type: 'pre_restore', retention_class: 'pre_restore', offline_target })
    expect(backup).toMatchObject({ type: 'pre_restore', retention_class: 'pre_restore' })
    expect(backup.filename).toMatch(/^pre_restore_backup_/)
  })

  test('unknown sources and stores, and incrementals, are told', async () => {
    const { tasks } = await site(kind)
    await expect(backUp(tasks, { source: 'nobody' })).rejects.toMatchObject({ code: 'SOURCE_UNKNOWN' })
    await expect(backUp(tasks, { store: 'nowhere' })).rejects.toMatchObject({ code: 'STORE_UNKNOWN' })
    await expect(backUp(tasks, { type: 'incremental' })).rejects.toMatchObject({ code: 'FULL_NEEDED' })
  })
})

test('files of a task process are private, whatever the umask of the service', async () => {
  const { folder, tasks } = await site('forked')
  await mkdir(join(folder, 'backups'))
  const { backup } = await backUp(tasks)
  const { mode } = await stat(join(folder, 'backups', 'app', backup.filename))
  expect(mode & 0o777).toBe(0o600)
})

test('a source that the configuration no longer names is still proven and restored', async () => {
  const { folder, tasks, retire } = await site('inline')
  const taken = await backUp(tasks)
  await retire()
  const { checks } = await tasks.run('prove', { source: 'app', chain: [address(taken)] }, () => {}, never)
  expect(checks.filter((check) => !check.ok)).toEqual([])
  const target = join(folder, 'restored.db')
  await tasks.run('restore', { source: 'app', chain: [address(taken)], target, in_place: false }, () => {}, never)
  expect(countPatients(target)).toBe(1000)
})
