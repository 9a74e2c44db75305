import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { stemOf } from '@salvor/repository/layout'
import type { CopyAddress } from '@salvor/shared/ports/tasks'
import { startPostgres, startRestored } from '@salvor/testkit/real/postgres'
import { expect, onTestFinished, test } from 'vitest'
import { installedAdapters } from '../adapters/installed-adapters.ts'
import { addressIn } from '../chain-addresses.ts'
import { systemClock, systemIds } from '../clock.ts'
import { loadConfig } from '../config/load-config.ts'
import { loadKeyring } from '../keyring-file.ts'
import { createLog } from '../log.ts'
import { fetchChainDigests } from './fetch-chain-digests.ts'
import { inlineTasks } from './inline-tasks.ts'
import { merge } from './merge.ts'
import { snapshot } from './snapshot.ts'
import type { TaskContext } from './task-context.ts'

const LINKS = 12
const silent = createLog({ level: 'error', secrets: () => [], write: () => {} })
const never = new AbortController().signal

/** A source, the chain of its backups, and of each the digests that its engine left. */
async function site(source: string) {
  const folder = await mkdtemp(join(tmpdir(), 'salvor-digests-chain-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'salvor.yaml')
  await writeFile(file, `stores: { local: { kind: local, path: ./backups } }\nsources:\n  app: ${source}\n`)
  const config = await loadConfig(file, process.env, installedAdapters)
  const tasks = inlineTasks({ config: () => config, log: silent, clock: systemClock })
  const keyring = await loadKeyring({ keyring_file: config.keyring_file, data_dir: config.settings.data_dir }, () =>
    systemClock.now(),
  )
  const chain: CopyAddress[] = []
  const contextIn = async (name: string): Promise<TaskContext> => {
    const scratch_dir = join(folder, name)
    await mkdir(scratch_dir, { mode: 0o700 })
    return { config, keyring, clock: systemClock, log: silent, scratch_dir, progress: () => {}, signal: never }
  }
  let seconds = 0
  const named = (type: 'full' | 'incremental') => {
    const timestamp = systemClock.now()
    // Of another second each: names are.
    const later = new Date(Date.parse(timestamp) + 1000 * (seconds += 1)).toISOString().replace('Z', '000Z')
    const wish = { source: 'app', store: 'local', type, retention_class: type, retention_until: null } as const
    return { ...wish, backup_id: systemIds.next(), timestamp, filename_stem: stemOf(type, later) } as const
  }
  const contents = (address: CopyAddress): string => join(folder, 'backups', digestsKey(address))
  return {
    folder,
    chain,
    contents,
    /** Gives the bytes of its digests: as stored, and whole. */
    async take(type: 'full' | 'incremental') {
      const context = await contextIn(`scratch-${chain.length}-${seconds}`)
      const input = { ...named(type), chain: type === 'full' ? [] : [...chain], skip_unchanged: false }
      const taken = await snapshot({ ...input, offline_target: null }, context)
      const { backup } = taken!
      chain.push(addressIn({ ...backup, copies: [] }, 'local'))
      const left = (await readdir(context.scratch_dir)).find((name) => /^(?:state|own)\.digests$/.test(name))!
      const whole = await readFile(join(context.scratch_dir, left))
      await rm(context.scratch_dir, { recursive: true })
      return { whole, stored: (await stat(contents(chain.at(-1)!))).size }
    },
    /** Of the last of so many. */
    async digests(count = chain.length): Promise<Buffer> {
      const context = await contextIn(`fetched-${count}-${(seconds += 1)}`)
      const fetched = join(context.scratch_dir, 'digests')
      await fetchChainDigests(chain.slice(0, count), fetched, context)
      return await readFile(fetched)
    },
    async merged(): Promise<CopyAddress> {
      const input = { ...named('full'), type: 'full', chain: [...chain] } as const
      const { backup } = await merge(input, await contextIn('merge'))
      return addressIn({ ...backup, copies: [] }, 'local')
    },
    async restore(name: string): Promise<string> {
      const target = join(folder, name)
      await tasks.run('restore', { source: 'app', chain, target, in_place: false }, () => {}, never)
      return target
    },
  }
}

const digestsKey = ({ manifest_key }: CopyAddress): string => manifest_key.replace('.manifest.json', '.digests.zst')

test('a long chain of SQLite: each link gives the digests that a whole map would have been, merged or not', async () => {
  const at = await site('{ engine: sqlite, path: ./app.db }')
  const path = join(at.folder, 'app.db')
  const change = (sql: string): void => {
    const database = new DatabaseSync(path)
    database.exec(sql)
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    database.close()
  }
  change(`PRAGMA journal_mode = WAL; PRAGMA auto_vacuum = INCREMENTAL; CREATE TABLE t (id INTEGER PRIMARY KEY, note);
    WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15000) INSERT INTO t SELECT i, hex(randomblob(250)) FROM n`)
  const wholes = [(await at.take('full')).whole]
  const sizes: number[] = []
  for (let n = 1; n <= LINKS; n += 1) {
    if (n % 4 === 1) change(`INSERT INTO t SELECT NULL, hex(randomblob(250)) FROM t LIMIT 150`)
    if (n % 4 === 2) change(`UPDATE t SET note = hex(randomblob(250)) WHERE id % 400 = ${n}`)
    if (n % 4 === 3) change(`DELETE FROM t WHERE id BETWEEN ${n}000 AND ${n}100; PRAGMA incremental_vacuum(20)`)
    const { whole, stored } = await at.take('incremental')
    wholes.push(whole)
    sizes.push(stored)
  }
  for (const [n, whole] of wholes.entries()) expect((await at.digests(n + 1)).equals(whole)).toBe(true)
  expect(Math.max(...sizes)).toBeLessThan(wholes[0]!.length / 8)
  // Where nothing had changed.
  expect(sizes[3]).toBeLessThan(400)
  expect((await readFile(await at.restore('restored.db'))).equals(await readFile(path))).toBe(true)

  const merged = await at.merged()
  expect((await stat(at.contents(merged))).size).toBeGreaterThan(wholes.at(-1)!.length / 2)
  const damaged = at.contents(at.chain[5]!)
  const bytes = await readFile(damaged)
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1)
  await rm(damaged)
  await writeFile(damaged, bytes)
  change('UPDATE t SET note = 1 WHERE id = 1')
  const reason = expect.stringContaining(`${digestsKey(at.chain[5]!)}: `)
  await expect(at.take('incremental')).rejects.toMatchObject({ code: 'FULL_NEEDED', facts: { reason } })
  at.chain.splice(0, at.chain.length, merged)
  const next = await at.take('incremental')
  expect((await at.digests()).equals(next.whole)).toBe(true)
})

test('a long chain of PostgreSQL 15, compared page by page: the same', async () => {
  await using server = await startPostgres({ major: 15, initdb: ['--data-checksums'] })
  await server.query('CREATE TABLE t (id serial PRIMARY KEY, note text)')
  const rows = (count: number) =>
    server.query(`INSERT INTO t (note) SELECT repeat(md5(g::text), 8) FROM generate_series(1, ${count}) g`)
  await rows(60_000)
  await server.query('VACUUM FREEZE')
  await server.query('CHECKPOINT')
  const at = await site(`{ engine: postgres, url: "${server.url}" }`)
  const wholes = [(await at.take('full')).whole]
  const sizes: number[] = []
  const deeds = [
    () => rows(500),
    () => server.query('UPDATE t SET note = 1 WHERE id % 3000 = 7'),
    () => server.query('CREATE TABLE IF NOT EXISTS more (id int PRIMARY KEY); TRUNCATE more'),
    async () => {
      await server.query('DELETE FROM t WHERE id > 60000')
      await server.query('VACUUM t')
    },
    () => Promise.resolve(),
  ]
  for (let n = 0; n < LINKS; n += 1) {
    await deeds[n % deeds.length]!()
    const { whole, stored } = await at.take('incremental')
    wholes.push(whole)
    sizes.push(stored)
  }
  for (const [n, whole] of wholes.entries()) expect((await at.digests(n + 1)).equals(whole)).toBe(true)
  const full = (await stat(at.contents(at.chain[0]!))).size
  expect(Math.max(...sizes)).toBeLessThan(full / 3)
  const target = await at.restore('restored')
  await using restored = await startRestored(15, target)
  expect(await restored.query('SELECT count(*), sum(id) FROM t')).toEqual(
    await server.query('SELECT count(*), sum(id) FROM t'),
  )

  await rm(at.contents(at.chain[6]!))
  await expect(at.take('incremental')).rejects.toMatchObject({
    code: 'FULL_NEEDED',
    facts: { reason: expect.stringContaining(digestsKey(at.chain[6]!)) },
  })
})
