import { freePort, spawnPostgres, stopPostgres } from '@salvor/testkit/real/postgres-process'
import { postgresPrograms, serverUser } from '@salvor/testkit/real/postgres-programs'
import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { clinicState, createClinicPg } from '@salvor/testkit/real/postgres-load'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readControlFile } from './data-folder/control-file.ts'
import { settle } from './data-folder/settle.ts'
import { standAlone } from './data-folder/settings.ts'
import { backUp, contentOf, engineOf, fileSink, never, temporaryFolder } from './engine.fixture.ts'

describe('restoring a base backup', () => {
  const folder = temporaryFolder()
  const file = join(folder.path, 'backup.tar')
  let server: RealPostgres
  let facts: SnapshotFacts
  const engine = () => engineOf(server.url, folder.path)
  const request = (target: string, inPlace = false) => ({ target, in_place: inPlace, engine_facts: facts.engine_facts })
  beforeAll(async () => {
    server = await startPostgres({ major: 17, initdb: ['--data-checksums'] })
    await createClinicPg(server.url, { rows: 1000 })
    await server.query("ALTER SYSTEM SET work_mem = '7MB'")
    await server.query('SELECT pg_reload_conf()')
    facts = await backUp(engine(), file)
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  /** What is in a folder beside the target must not grow by a restore that failed. */
  const failsAndLeavesNothing = async (artifact: string, reason: RegExp): Promise<void> => {
    const home = join(folder.path, 'home')
    mkdirSync(home, { recursive: true })
    await expect(engine().restore(contentOf(artifact), request(join(home, 'data')), never)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringMatching(reason),
    })
    expect(readdirSync(home)).toEqual([])
  }

  test('gives a private folder that follows nobody, keeps its own settings and does not archive', async () => {
    const target = join(folder.path, 'copy', 'data')
    await engine().restore(contentOf(file), request(target), never)
    expect(statSync(target).mode & 0o777).toBe(0o700)
    expect(statSync(join(target, 'PG_VERSION')).mode & 0o777).toBe(0o600)
    const settings = readFileSync(join(target, 'postgresql.auto.conf'), 'utf8')
    expect(settings).toContain("work_mem = '7MB'")
    expect(settings.trim().split('\n').at(-1)).toBe("archive_mode = 'off'")
    expect(settings).toContain("primary_conninfo = ''")
    expect(existsSync(join(target, 'pg_notify'))).toBe(true)
  })

  test('refuses a folder that holds something, and a data folder at work', async () => {
    const occupied = join(folder.path, 'occupied')
    mkdirSync(occupied)
    writeFileSync(join(occupied, 'letter'), 'mine')
    await expect(engine().assertTarget(occupied, false)).rejects.toMatchObject({ code: 'TARGET_NOT_EMPTY' })
    await expect(engine().assertTarget(occupied, true)).rejects.toMatchObject({ code: 'RESTORE_FAILED' })
    await expect(engine().assertTarget(server.dataDir, true)).rejects.toMatchObject({ code: 'TARGET_IN_USE' })
    await expect(engine().restore(contentOf(file), request(server.dataDir, true), never)).rejects.toMatchObject({
      code: 'TARGET_IN_USE',
    })
    expect(readFileSync(join(occupied, 'letter'), 'utf8')).toBe('mine')
  })

  test('an empty folder is a target', async () => {
    const target = join(folder.path, 'empty')
    mkdirSync(target)
    await engine().restore(contentOf(file), request(target), never)
    expect(readFileSync(join(target, 'PG_VERSION'), 'utf8').trim()).toBe('17')
  })

  test('a flipped bit, a lost end and a changed manifest put nothing in place', async () => {
    const broken = join(folder.path, 'broken.tar')
    const bytes = readFileSync(file)
    const change = (at: number, to: number) => {
      const copy = Buffer.from(bytes)
      copy.writeUInt8(to, at)
      writeFileSync(broken, copy)
    }
    const middle = Math.floor(bytes.length / 4)
    change(middle, bytes.readUInt8(middle) ^ 1)
    await failsAndLeavesNothing(broken, /does not match its checksum/)
    const label = bytes.indexOf('"Path": "backup_label"')
    change(label + 9, 'B'.charCodeAt(0))
    await failsAndLeavesNothing(broken, /does not match its own checksum/)
    const control = bytes.lastIndexOf('global/pg_control', bytes.indexOf('"Files": ['))
    change(control + 8, 'q'.charCodeAt(0))
    await failsAndLeavesNothing(broken, /tar header with a wrong checksum/)
    writeFileSync(broken, bytes.subarray(0, bytes.length - 200_000))
    await failsAndLeavesNothing(broken, /ends too early/)
    expect(existsSync(join(folder.path, 'home', 'data'))).toBe(false)
  })

  test('an abort in the middle leaves nothing', async () => {
    const home = join(folder.path, 'aborted')
    mkdirSync(home)
    const abort = new AbortController()
    const restoring = engine().restore(contentOf(file), request(join(home, 'data')), abort.signal)
    setTimeout(() => abort.abort(new Error('enough')), 30)
    await expect(restoring).rejects.toThrow('enough')
    expect(readdirSync(home)).toEqual([])
  })

  test('in place brings the former state back, and keeps what was there', async () => {
    await server.query('DELETE FROM patients')
    await server.stop()
    const owner = statSync(server.dataDir)
    const safety = join(folder.path, 'pre-restore.tar')
    using sink = fileSink(safety)
    const offline = await engine().offlineSnapshot(server.dataDir, sink, never)
    const { checks } = await engine().restore(contentOf(file), request(server.dataDir, true), never)
    const kept = /kept at (\S+);/.exec(checks.at(-1)?.detail ?? '')?.[1] ?? ''
    expect(dirname(kept)).toBe(dirname(server.dataDir))
    expect(existsSync(join(kept, 'PG_VERSION'))).toBe(true)
    expect(statSync(server.dataDir).uid).toBe(owner.uid)
    expect(statSync(join(server.dataDir, 'base')).uid).toBe(owner.uid)
    await server.start()
    expect(await clinicState(server.url)).toMatchObject({ patients: 1000, consistent: true })

    // The safety copy of the stopped server is a backup like any other: it brings the deletion back.
    const target = join(folder.path, 'undone')
    const undo = { target, in_place: false, engine_facts: offline.engine_facts }
    await engine().restore(contentOf(safety), undo, never)
    const proof = await engine().prove(target, ['SELECT count(*) = 0 FROM patients'], offline.engine_facts, never)
    expect(proof.filter(({ ok }) => !ok)).toEqual([])
  })

  test('a recovery that ends before its target is told, whoever owns the folder, and no server stays behind', async () => {
    const target = join(folder.path, 'started')
    const recovery = { timeline: 1, pause: false, recovers_to: facts.consistent_at, last_commit_lsn: null, wal: [] }
    const beyond = { ...recovery, target: { kind: 'lsn', lsn: 'F/0' } } as const
    await engine().restore(contentOf(file), { ...request(target), recovery: beyond }, never)
    // The WAL that was known of says that there was a commit behind what could be replayed.
    const torn = { ...recovery, target: { kind: 'latest' }, last_commit_lsn: 'F/0' } as const
    const failed = (reason: RegExp) => ({ code: 'RECOVERY_FAILED', message: expect.stringMatching(reason) })
    await expect(engine().recover!(target, beyond, never)).rejects.toMatchObject(failed(/WAL is missing or damaged/))
    const [before, after] = [statSync(dirname(target)), statSync(join(target, 'global', 'pg_control'))]
    expect(after.uid).toBe(before.uid)
    expect(existsSync(join(target, 'postmaster.pid'))).toBe(false)

    const other = join(folder.path, 'torn')
    await engine().restore(contentOf(file), { ...request(other), recovery: torn }, never)
    await expect(engine().recover!(other, torn, never)).rejects.toMatchObject(failed(/its last commit is at F\/0/))

    const alone = join(folder.path, 'alone')
    await engine().restore(contentOf(file), request(alone), never)
    const reached = await engine().recover!(alone, null, never)
    expect(reached).toMatchObject({
      state: 'consistent',
      stopped: null,
      timeline: 1,
      lsn: expect.stringMatching(/^0\//),
    })
  })

  test('files of configuration that lay outside of the data folder are made, and a server starts with them', async () => {
    const target = join(folder.path, 'debian')
    await engine().restore(contentOf(file), request(target), never)
    const names = ['pg_hba.conf', 'pg_ident.conf', 'postgresql.conf']
    for (const name of names) rmSync(join(target, name))
    const { created } = await standAlone(target, await readControlFile(target))
    expect(created.toSorted()).toEqual(names)
    expect(readFileSync(join(target, 'postgresql.conf'), 'utf8')).toContain('max_wal_senders = 8')

    chmodSync(folder.path, 0o711)
    const owner = serverUser.uid === undefined ? null : { uid: serverUser.uid, gid: serverUser.gid! }
    await settle(target, owner, never)
    const log = join(folder.path, 'debian.log')
    const running = spawnPostgres(await postgresPrograms(17), target, await freePort(), log)
    await expect.poll(() => readFileSync(log, 'utf8'), { timeout: 20_000 }).toContain('ready to accept connections')
    await stopPostgres(running, target, 'fast')
  })

  test('a link out of a stopped data folder that is no tablespace is refused clearly', async () => {
    const { symlinkSync } = await import('node:fs')
    const target = join(folder.path, 'linked')
    await engine().restore(contentOf(file), request(target), never)
    symlinkSync('/tmp', join(target, 'base', '16400'))
    using sink = fileSink(join(folder.path, 'linked.tar'))
    await expect(engine().offlineSnapshot(target, sink, never)).rejects.toMatchObject({ code: 'SOURCE_UNSUPPORTED' })
  })

  test('a backup of another cluster than the manifest says is refused', async () => {
    const copy = join(folder.path, 'other.tar')
    copyFileSync(file, copy)
    const target = join(folder.path, 'other')
    const engine_facts = { ...facts.engine_facts, system_id: '1' }
    await expect(
      engine().restore(contentOf(copy), { target, in_place: false, engine_facts }, never),
    ).rejects.toMatchObject({ code: 'RESTORE_FAILED' })
    expect(existsSync(target)).toBe(false)
  })
})
