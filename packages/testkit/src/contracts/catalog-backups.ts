import type { Catalog } from '@salvor/shared/ports/catalog'
import type { Backup, Copy } from '@salvor/shared/vocabulary/backup'
import type { RecoveryProof, Verification } from '@salvor/shared/vocabulary/verification'
import { expect, test } from 'vitest'
import { codeOf, freshId, sampleBackup, sampleCopy, sampleVerification, WORKER } from './catalog-samples.ts'
import type { OpenCatalog } from './catalog-samples.ts'

async function store(catalog: Catalog, backup: Backup, ...copies: readonly Partial<Copy>[]): Promise<Backup> {
  await catalog.transaction(WORKER, async (tx) => {
    await tx.recordBackup(backup)
    for (const copy of copies) await tx.recordCopy(sampleCopy(backup, copy))
  })
  return backup
}
const found = (catalog: Catalog, backup: Backup, what: Partial<Verification>) =>
  catalog.transaction(WORKER, (tx) => tx.recordVerification(sampleVerification(backup, what)))
const stateOf = async (catalog: Catalog, { id }: Backup) => (await catalog.backup(id)).state

/** Backups, where they are, and how good they are known to be. */
export function backupContract(open: OpenCatalog): void {
  test('a backup comes back as it was recorded, every digit of it, with its copies', async () => {
    await using place = await open()
    const { catalog } = place
    const full = await store(catalog, sampleBackup(), { store: 's3', state: 'pending', stored_at: null }, {})
    const child = sampleBackup({ type: 'incremental', parent: full.id, retention_until: null, encrypted: false })
    await store(catalog, child)
    expect(await catalog.backup(full.id)).toEqual({
      ...full,
      copies: [sampleCopy(full), sampleCopy(full, { store: 's3', state: 'pending', stored_at: null })],
    })
    expect(await catalog.backup(child.id)).toEqual({ ...child, copies: [] })
  })

  test('a chain is given from its full up to the backup, each with its copies', async () => {
    await using place = await open()
    const { catalog } = place
    const full = await store(catalog, sampleBackup(), {})
    const first = await store(catalog, sampleBackup({ type: 'incremental', parent: full.id }), {}, { store: 's3' })
    const second = await store(catalog, sampleBackup({ type: 'incremental', parent: first.id }))
    const ids = async (id: string) => (await catalog.chain(id)).map((backup) => [backup.id, backup.copies.length])
    expect(await ids(full.id)).toEqual([[full.id, 1]])
    expect(await ids(second.id)).toEqual([
      [full.id, 1],
      [first.id, 2],
      [second.id, 0],
    ])
    const orphan = await store(catalog, sampleBackup({ type: 'incremental', parent: freshId() }))
    expect(await codeOf(catalog.chain(orphan.id))).toBe('BACKUP_UNKNOWN')
    expect(await codeOf(catalog.chain(freshId()))).toBe('BACKUP_UNKNOWN')
  })

  test('recording a backup again replaces what is known, not how good it is', async () => {
    await using place = await open()
    const { catalog } = place
    const backup = await store(catalog, sampleBackup(), { state: 'verified' })
    await store(catalog, { ...backup, retention_until: null, size_bytes: 7, manifest_sha256: 'c'.repeat(64) })
    expect(await catalog.backup(backup.id)).toMatchObject({
      state: 'verified',
      retention_until: null,
      size_bytes: 7,
      manifest_sha256: 'c'.repeat(64),
    })
  })

  test('backups are listed newest first, of one source or all, up to a limit, each with its copies', async () => {
    await using place = await open()
    const { catalog } = place
    const at = (second: number) => ({ timestamp: `2025-11-27T20:39:0${second}.000000Z` })
    const [a, c] = [await store(catalog, sampleBackup(at(1)), {}), await store(catalog, sampleBackup(at(3)), {})]
    const b = await store(catalog, sampleBackup({ ...at(2), source: 'desk' }), {}, { store: 's3' })
    const list = async (filter: Parameters<Catalog['backups']>[0]) =>
      (await catalog.backups(filter)).map(({ id, copies }) => [id, copies.length])
    expect(await list({})).toEqual([
      [c.id, 1],
      [b.id, 2],
      [a.id, 1],
    ])
    expect(await list({ limit: 2 })).toEqual([
      [c.id, 1],
      [b.id, 2],
    ])
    expect(await list({ source: 'clinic' })).toEqual([
      [c.id, 1],
      [a.id, 1],
    ])
    expect(await list({ source: 'clinic', limit: 1 })).toEqual([[c.id, 1]])
    expect(await list({ source: 'nowhere' })).toEqual([])
  })

  test('a backup is found by id, by the beginning of one, and by file name', async () => {
    await using place = await open()
    const { catalog } = place
    const one = await store(
      catalog,
      sampleBackup({ id: '019ac6f2-5b1e-7000-8000-000000000001', filename: 'one.db.zst' }),
    )
    const two = await store(
      catalog,
      sampleBackup({ id: '019ac6f2-5b1f-7000-8000-000000000002', filename: 'two.db.zst' }),
    )
    const who = async (reference: string) => (await catalog.backup(reference)).id
    expect(await who(one.id)).toBe(one.id)
    expect(await who(two.id.toUpperCase())).toBe(two.id)
    expect(await who('019ac6f2-5b1f')).toBe(two.id)
    expect(await who('one.db.zst')).toBe(one.id)
    expect(await who('clinic/two.db.zst')).toBe(two.id)
    expect(await codeOf(catalog.backup('019ac6f2'))).toBe('BACKUP_AMBIGUOUS')
    for (const nothing of ['019', '019ac6f3', '%', '', 'one', 'desk/one.db.zst', '/one.db.zst']) {
      expect(await codeOf(catalog.backup(nothing))).toBe('BACKUP_UNKNOWN')
    }
  })

  test('one file name of two sources is ambiguous until the source is named', async () => {
    await using place = await open()
    const { catalog } = place
    const filename = 'backup_full_20251127_203930.db.zst'
    await store(catalog, sampleBackup({ filename }))
    const tenant = await store(catalog, sampleBackup({ filename, source: 'tenants/a%20b.db' }))
    await expect(catalog.backup(filename)).rejects.toThrow('matches 2 backups')
    expect((await catalog.backup(`tenants/a%20b.db/${filename}`)).id).toBe(tenant.id)
  })

  test('a copy is recorded once per store; a later record replaces it', async () => {
    await using place = await open()
    const { catalog } = place
    const backup = await store(catalog, sampleBackup(), { state: 'pending', stored_at: null, upload: 'part-3' })
    await catalog.transaction(WORKER, (tx) => tx.recordCopy(sampleCopy(backup, { state: 'completed' })))
    expect((await catalog.backup(backup.id)).copies).toEqual([sampleCopy(backup)])
    const lost = catalog.transaction(WORKER, (tx) => tx.recordCopy(sampleCopy(sampleBackup())))
    expect(await codeOf(lost)).toBe('BACKUP_UNKNOWN')
  })

  test('a backup is as good as its best copy, and corrupt when none is good', async () => {
    await using place = await open()
    const { catalog } = place
    const backup = await store(catalog, sampleBackup(), { state: 'proven' }, { store: 's3', state: 'verified' })
    const put = (store: string, state: Copy['state']) =>
      catalog.transaction(WORKER, (tx) => tx.recordCopy(sampleCopy(backup, { store, state })))
    expect(await stateOf(catalog, backup)).toBe('proven')
    await put('local', 'corrupt')
    expect(await stateOf(catalog, backup)).toBe('verified')
    await put('s3', 'pending')
    expect(await stateOf(catalog, backup)).toBe('corrupt')
    await put('local', 'pending')
    expect(await stateOf(catalog, backup)).toBe('corrupt')
    await put('s3', 'completed')
    expect(await stateOf(catalog, backup)).toBe('completed')
  })

  test('a good verification lifts a copy to what it has shown, and never weakens it', async () => {
    await using place = await open()
    const { catalog } = place
    const backup = await store(catalog, sampleBackup(), {})
    const steps = [
      ['checksum', 'completed'],
      ['decode', 'verified'],
      ['checksum', 'verified'],
      ['restore', 'proven'],
      ['decode', 'proven'],
    ] as const
    for (const [level, state] of steps) {
      await found(catalog, backup, { level })
      expect(await stateOf(catalog, backup)).toBe(state)
      expect((await catalog.backup(backup.id)).copies[0]?.state).toBe(state)
    }
  })

  test('a bad verification makes its copy corrupt; a later good one clears that', async () => {
    await using place = await open()
    const { catalog } = place
    const backup = await store(catalog, sampleBackup(), { state: 'proven' }, { store: 's3', state: 'verified' })
    await found(catalog, backup, { ok: false })
    expect((await catalog.backup(backup.id)).copies.map((copy) => copy.state)).toEqual(['corrupt', 'verified'])
    expect(await stateOf(catalog, backup)).toBe('verified')
    await found(catalog, backup, { store: 's3', ok: false, level: 'decode' })
    expect(await stateOf(catalog, backup)).toBe('corrupt')
    await found(catalog, backup, { store: 's3', level: 'checksum' })
    expect(await stateOf(catalog, backup)).toBe('completed')
  })

  test('verifications are kept with what they found; one that is recorded twice counts once', async () => {
    await using place = await open()
    const { catalog } = place
    const backup = await store(catalog, sampleBackup(), {})
    const bad = sampleVerification(backup, {
      ok: false,
      level: 'restore',
      started_at: '2025-11-27T20:41:00.000000Z',
      checks: [{ name: 'integrity', ok: false, detail: '3 pages', duration_ms: 0 }],
    })
    const good = sampleVerification(backup, {})
    for (const each of [bad, good, bad]) await catalog.transaction(WORKER, (tx) => tx.recordVerification(each))
    expect(await catalog.verifications(backup.id)).toEqual([good, bad])
    expect(await stateOf(catalog, backup)).toBe('completed')
    expect(await catalog.verifications(freshId())).toEqual([])
    const unknown = catalog.transaction(WORKER, (tx) => tx.recordVerification(sampleVerification(sampleBackup())))
    expect(await codeOf(unknown)).toBe('BACKUP_UNKNOWN')
  })

  test('of recoveries that were proven the newest that came back is given, and a newer one that did not', async () => {
    await using place = await open()
    const { catalog } = place
    const proof = (source: string, day: number, ok = true): RecoveryProof => {
      const at = `2025-11-2${day}T20:41:00.000000Z`
      const reached = { recovered_to: ok ? at : null, lsn: ok ? '0/3000060' : null, timeline: 1 }
      const rest = { detail: 'a backup and 3 pieces of WAL', started_at: at, duration_ms: 1200 }
      return { id: freshId(), source, backup_id: freshId(), target_at: at, ok, ...reached, ...rest }
    }
    const [first, bad, last] = [proof('clinic', 1), proof('clinic', 2, false), proof('clinic', 3)]
    const [desk, broken] = [proof('desk', 4), proof('desk', 5, false)]
    const record = (...proofs: RecoveryProof[]) =>
      catalog.transaction(WORKER, async (tx) => {
        for (const each of proofs) await tx.recordRecoveryProof(each)
      })
    await record(desk, first, bad, broken, bad)
    expect(await catalog.recoveryProofs()).toEqual([first, bad, desk, broken])
    await record(last)
    expect(await catalog.recoveryProofs()).toEqual([last, desk, broken])
  })

  test('copies that change at the same moment leave the backup with the strongest', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    for (let round = 0; round < 5; round += 1) {
      const backup = await store(place.catalog, sampleBackup(), {}, { store: 's3' })
      await Promise.all([
        found(handles[round % 2]!, backup, { store: 'local', level: 'restore' }),
        found(handles[(round + 1) % 2]!, backup, { store: 's3', level: 'decode' }),
        found(handles[0]!, backup, { store: 's3', ok: false }),
      ])
      expect(await stateOf(place.catalog, backup)).toBe('proven')
    }
  })

  test('copies are found by their state, up to a limit', async () => {
    await using place = await open()
    const { catalog } = place
    const backup = await store(
      catalog,
      sampleBackup(),
      {},
      { store: 'a', state: 'pending' },
      { store: 'b', state: 'pending' },
    )
    const stores = async (limit: number) => (await catalog.copiesInState('pending', limit)).map((copy) => copy.store)
    expect(await stores(10)).toEqual(['a', 'b'])
    expect(await stores(1)).toEqual(['a'])
    expect(await catalog.copiesInState('completed', 10)).toEqual([sampleCopy(backup)])
    expect(await catalog.copiesInState('corrupt', 10)).toEqual([])
  })

  test('the resume token of a pending copy is kept; a copy that is there has none', async () => {
    await using place = await open()
    const { catalog } = place
    const backup = await store(catalog, sampleBackup(), { state: 'pending' }, { store: 's3' })
    const uploads = async () => (await catalog.backup(backup.id)).copies.map((copy) => copy.upload)
    await catalog.saveUpload(backup.id, 'local', 'upload-7')
    await catalog.saveUpload(backup.id, 's3', 'upload-8')
    expect(await uploads()).toEqual(['upload-7', null])
    await catalog.saveUpload(backup.id, 'local', null)
    expect(await uploads()).toEqual([null, null])
  })

  test('a claim on a source in a store is remembered', async () => {
    await using place = await open()
    const { catalog } = place
    const claim = () => catalog.transaction(WORKER, (tx) => tx.recordClaim('clinic', 'local'))
    expect(await catalog.hasClaim('clinic', 'local')).toBe(false)
    await claim()
    await claim()
    expect(await catalog.hasClaim('clinic', 'local')).toBe(true)
    expect(await catalog.hasClaim('clinic', 's3')).toBe(false)
  })
}
