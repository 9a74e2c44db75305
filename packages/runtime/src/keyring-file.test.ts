import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigningKey } from '@salvor/repository/create-keys'
import { serializeKeyFile } from '@salvor/repository/key-file'
import { expect, onTestFinished, test } from 'vitest'
import { loadKeyring } from './keyring-file.ts'

const NOW = '2025-11-27T20:39:30.294774Z'
const now = () => NOW

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'salvor-keys-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

test('without a keyring a signing key is made once, for this user only', async () => {
  const data_dir = join(await folder(), 'new', 'data')
  const first = await loadKeyring({ keyring_file: null, data_dir }, now)
  const again = await loadKeyring({ keyring_file: null, data_dir }, now)
  expect(first.configured).toBe(false)
  const bytes = Buffer.from('bytes')
  expect(again.check(bytes, first.sign(bytes))).toBe('trusted')
  expect((await stat(join(data_dir, 'signing-key.json'))).mode & 0o777).toBe(0o600)
  expect(await readdir(data_dir)).toEqual(['signing-key.json'])
})

test("the operator's keyring is used where one is named", async () => {
  const at = await folder()
  const keyring_file = join(at, 'keys.json')
  await writeFile(keyring_file, serializeKeyFile(createSigningKey(NOW)), { mode: 0o600 })
  const ring = await loadKeyring({ keyring_file, data_dir: join(at, 'data') }, now)
  expect(ring.configured).toBe(true)
  expect(await readdir(at)).toEqual(['keys.json'])
})

test.each([0o644, 0o640, 0o604])('a keyring that others may read is refused: mode %o', async (mode) => {
  const keyring_file = join(await folder(), 'keys.json')
  await writeFile(keyring_file, serializeKeyFile(createSigningKey(NOW)))
  await chmod(keyring_file, mode)
  await expect(loadKeyring({ keyring_file, data_dir: '/nowhere' }, now)).rejects.toMatchObject({
    code: 'KEYRING_INVALID',
    exit: 2,
  })
})

test('a keyring that is missing, a folder or not one is refused, and none is made in its place', async () => {
  const at = await folder()
  const refused = (keyring_file: string) =>
    expect(loadKeyring({ keyring_file, data_dir: at }, now)).rejects.toMatchObject({ code: 'KEYRING_INVALID' })
  await refused(join(at, 'none.json'))
  await refused(at)
  await writeFile(join(at, 'bad.json'), 'no keys', { mode: 0o600 })
  await refused(join(at, 'bad.json'))
  expect(await readdir(at)).toEqual(['bad.json'])
})
