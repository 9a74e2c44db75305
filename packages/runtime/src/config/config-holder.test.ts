import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { holdConfig } from './config-holder.ts'
import { fakeAdapters } from './fake-adapters.fixture.ts'

const text = (zone: string): string => `timezone: ${zone}
stores: { local: { kind: disk, path: b } }
sources: { app: { engine: filedb, path: a } }
`

async function held() {
  const folder = await mkdtemp(join(tmpdir(), 'salvor-holder-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'salvor.yaml')
  await writeFile(file, text('UTC'))
  return { file, holder: await holdConfig(file, {}, fakeAdapters()) }
}

test('a reload puts the new file in force', async () => {
  const { file, holder } = await held()
  const before = holder.current
  await writeFile(file, text('Asia/Tokyo'))
  expect(holder.current.settings.timezone).toBe('UTC')
  expect(await holder.reload()).toEqual({ ok: true })
  expect(holder.current.settings.timezone).toBe('Asia/Tokyo')
  expect(holder.current.hash).not.toBe(before.hash)
})

test('an invalid file keeps the old one, and says what is wrong', async () => {
  const { file, holder } = await held()
  const before = holder.current
  await writeFile(file, text('Mars/North'))
  expect(await holder.reload()).toMatchObject({ ok: false, error: { code: 'CONFIG_INVALID' } })
  expect(holder.current).toBe(before)
  await rm(file)
  expect(await holder.reload()).toMatchObject({ ok: false, error: { code: 'CONFIG_MISSING' } })
  expect(holder.current).toBe(before)
})

test('of two reloads at once the later file stays', async () => {
  const { file, holder } = await held()
  await writeFile(file, text('Asia/Tokyo'))
  await writeFile(`${file}.new`, text('Europe/Paris'))
  const first = holder.reload()
  await rename(`${file}.new`, file)
  expect(await Promise.all([first, holder.reload()])).toEqual([{ ok: true }, { ok: true }])
  expect(holder.current.settings.timezone).toBe('Europe/Paris')
})
