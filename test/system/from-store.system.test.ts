import { cp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { assertInvariant, createClinic } from '@salvor/testkit/real/sqlite-writer'
import { orSkip } from '@salvor/testkit/real/not-here'
import { startS3 } from '@salvor/testkit/real/s3'
import { afterAll, expect, test } from 'vitest'
import { makeHome, type Home } from './salvor.ts'

const { value: s3, skipReason } = await orSkip(startS3())
afterAll(() => s3?.stop())

interface Listed {
  backups: { id: string; source: string; filename: string; copies: { store: string }[] }[]
  unreadable: { key: string; error: { code: string } }[]
}

/** A machine that took an encrypted backup of `desk`, and is lost after that. */
async function lost(home: Home, store: string, env: Record<string, string> = {}): Promise<void> {
  createClinic(home.path('desk.db'), { rows: 300 })
  expect(
    (await home.run('keys', 'create', '--out', home.path('keys.json'), '--recovery', home.path('r.pem'))).code,
  ).toBe(0)
  await home.configure(`stores:\n  vault: ${store}\nencryption: { keyring_file: keys.json }
sources:\n  desk: { engine: sqlite, path: ./desk.db }\n`)
  const taken = await home.runWith({ env }, 'backup', 'desk', '--json')
  expect(taken.stderr + taken.stdout).toContain('completed')
  expect(taken.code).toBe(0)
}

test('a new machine restores from a folder and the keys alone, without a configuration or a catalog', async () => {
  await using old = await makeHome()
  await using fresh = await makeHome()
  await lost(old, '{ kind: local, path: ./backups }')
  await cp(old.path('backups'), fresh.path('usb stick'), { recursive: true })
  await cp(old.path('keys.json'), fresh.path('keys.json'))
  const from = ['--from', `file://${encodeURI(fresh.path('usb stick'))}`, '--keys', 'keys.json', '--json']

  const listed = (await fresh.run('list', ...from)).json<Listed>()
  expect(listed.backups).toMatchObject([{ source: 'desk', copies: [{ store: 'local' }] }])
  expect(listed.unreadable).toEqual([])
  const proven = await fresh.run('verify', 'latest', '--level', 'restore', ...from)
  expect([proven.code, proven.json<{ results: { ok: boolean }[] }>().results]).toMatchObject([0, [{ ok: true }]])

  const restored = await fresh.run('restore', 'desk', '--to', fresh.path('back.db'), ...from)
  expect(restored.json<{ ok: boolean }>().ok).toBe(true)
  const byName = await fresh.run('restore', listed.backups[0]!.filename, '--to', fresh.path('again.db'), ...from)
  expect(byName.code).toBe(0)
  expect((await readdir(fresh.folder)).toSorted()).toEqual(['again.db', 'back.db', 'keys.json', 'usb stick'])
  assertInvariant(fresh.path('back.db'))
}, 120_000)

test('a manifest that was tampered with is named and hides no good backup; where none is good the reason is told', async () => {
  await using home = await makeHome()
  await lost(home, '{ kind: local, path: ./backups }')
  const desk = home.path('backups', 'desk')
  const manifest = (await readdir(desk)).find((name) => name.endsWith('.manifest.json'))!
  const forged = 'backup_full_20300101_000000.manifest.json'
  await cp(join(desk, manifest), join(desk, forged))
  const from = ['--from', `file://${home.path('backups')}`, '--json']
  const listed = (await home.run('list', ...from)).json<Listed>()
  expect(listed.backups).toHaveLength(1)
  expect(listed.unreadable).toMatchObject([{ key: `desk/${forged}`, error: { code: 'MANIFEST_INVALID' } }])
  const good = await home.run('restore', 'desk', '--to', home.path('good.db'), ...from)
  expect(good.code).toBe(0)
  await writeFile(join(desk, manifest), '{}')
  const none = await home.run('restore', 'desk', '--to', home.path('none.db'), ...from)
  expect(none.json<{ error: { code: string } }>().error.code).toBe('MANIFEST_INVALID')
  expect(none.code).not.toBe(0)
}, 120_000)

test('a machine that has its configuration but lost its catalog restores from a store by its name', async () => {
  await using home = await makeHome()
  await lost(home, '{ kind: local, path: ./backups }')
  await rm(home.path('salvor-data'), { recursive: true })
  expect((await home.run('restore', 'desk', '--to', home.path('x.db'))).code).toBe(2)
  const restored = await home.run('restore', 'desk', '--from', 'vault', '--to', home.path('back.db'), '--json')
  expect([restored.code, restored.json<{ store: string }>().store]).toEqual([0, 'vault'])
  assertInvariant(home.path('back.db'))
  const inPlace = await home.run(
    'restore',
    'desk',
    '--from',
    'vault',
    '--in-place',
    '--to',
    home.path('desk.db'),
    '--json',
  )
  expect([inPlace.code, inPlace.json<{ error: { code: string } }>().error.code]).toEqual([2, 'USAGE'])
  const unknown = await home.run('restore', 'desk', '--from', 'nowhere', '--to', home.path('y.db'), '--json')
  expect(unknown.json<{ error: { code: string } }>().error.code).toBe('STORE_UNKNOWN')
}, 120_000)

test.skipIf(s3 === null)(
  `a bucket is enough, with the usual variables of its SDK ${skipReason}`,
  async () => {
    await using old = await makeHome()
    await using fresh = await makeHome()
    const { endpoint, region, access_key_id, secret_access_key } = s3!
    const bucket = await s3!.createBucket()
    const env = {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: access_key_id,
      AWS_SECRET_ACCESS_KEY: secret_access_key,
    }
    const store = `{ kind: s3, bucket: ${bucket}, prefix: prod, region: ${region}, endpoint: "${endpoint}", path_style: true, access_key_id: "\${AWS_ACCESS_KEY_ID}", secret_access_key: "\${AWS_SECRET_ACCESS_KEY}" }`
    await lost(old, store, env)
    await cp(old.path('r.pem'), fresh.path('r.pem'))
    const wish = [
      'restore',
      'desk',
      '--from',
      `s3://${bucket}/prod`,
      '--keys',
      'r.pem',
      '--to',
      fresh.path('back.db'),
      '--json',
    ]
    const restored = await fresh.runWith({ env }, ...wish)
    expect(restored.json<{ ok: boolean }>().ok).toBe(true)
    assertInvariant(fresh.path('back.db'))
    const without = await fresh.runWith({ env: { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' } }, ...wish)
    expect(without.code).toBe(2)
  },
  120_000,
)
