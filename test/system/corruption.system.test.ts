import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { describe, expect, test } from 'vitest'
import { makeHome, type Home } from './salvor.ts'

/** Of each region: the first byte, one in the middle, the last. The full run flips every 200th of an object. */
const PLACES = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 200 : 3

async function taken(home: Home): Promise<string[]> {
  createClinic(home.path('desk.db'), { rows: 100 })
  await home.run('keys', 'create')
  await home.configure(`
stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./salvor-keys.json }
sources: { desk: { engine: sqlite, path: ./desk.db } }
`)
  const ended = await home.run('backup', 'desk', '--json')
  expect(ended.code, ended.stdout).toBe(0)
  return (await readdir(home.path('backups/desk'))).filter((name) => name.startsWith('backup_'))
}

async function flip(file: string, offset: number): Promise<Buffer> {
  const original = await readFile(file)
  const bytes = Buffer.from(original)
  bytes[offset] = (bytes[offset] ?? 0) ^ 1
  await writeFile(file, bytes)
  return original
}

describe('a backup that was damaged in its store', () => {
  test('one flipped bit in any of its objects is found, named, and never restored', async () => {
    await using home = await makeHome()
    for (const name of await taken(home)) {
      const file = home.path('backups/desk', name)
      const { size } = await stat(file)
      for (let place = 0; place < PLACES; place += 1) {
        const original = await flip(file, Math.min(size - 1, Math.floor((place * size) / Math.max(1, PLACES - 1))))
        const checked = await home.run('verify', 'latest', 'desk', '--level', 'decode', '--json')
        expect([checked.code, checked.json<{ ok: boolean }>().ok], `${name} at place ${place}`).toEqual([4, false])
        expect(checked.stdout).toContain(name.split('.').at(-1) === 'json' ? 'json' : name.slice(-8))
        await writeFile(file, original)
      }
    }
    expect((await home.run('verify', 'latest', 'desk', '--level', 'decode')).code).toBe(0)
  })

  test('a truncated artifact restores nothing and leaves the target untouched', async () => {
    await using home = await makeHome()
    const artifact = (await taken(home)).find((name) => name.endsWith('.enc')) ?? ''
    const file = home.path('backups/desk', artifact)
    await truncate(file, Math.floor((await stat(file)).size / 2))
    const restored = await home.run('restore', 'desk', '--to', home.path('out/desk.db'), '--json')
    expect([restored.code, restored.json<{ error: { code: string } }>().error.code]).toEqual([4, 'ARTIFACT_CORRUPT'])
    await expect(stat(home.path('out/desk.db'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('a manifest that names a path outside is refused before anything is opened', async () => {
    await using home = await makeHome()
    const manifest = (await taken(home)).find((name) => name.endsWith('.manifest.json')) ?? ''
    const file = home.path('backups/desk', manifest)
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace(/"filename": "[^"]*"/, '"filename": "../../etc/passwd"'))
    const restored = await home.run('restore', 'desk', '--to', home.path('out.db'), '--json')
    expect([restored.code, restored.json<{ error: { code: string } }>().error.code]).toEqual([4, 'MANIFEST_INVALID'])
  })
})
