import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Unfinished } from '@salvor/shared/ports/store'
import { expect, test } from 'vitest'
import { adapter } from './index.ts'

const never = new AbortController().signal

test('files of writers that are gone are named with their age; those of a living writer are not', async () => {
  const path = await mkdtemp(join(tmpdir(), 'salvor-left-'))
  const store = adapter.open('local', { path })
  const writer = await store.create('clinic/a.db', {}, never)
  await writer.write(Buffer.alloc(10))
  const gone = `.tmp-${'0'.repeat(12)}-1-1-${'a'.repeat(16)}`
  await writeFile(join(path, gone), 'x')
  await utimes(join(path, gone), new Date(), new Date(Date.now() - 3600_000))
  const found: Unfinished[] = []
  for await (const one of store.unfinished(never)) found.push(one)
  expect(found).toMatchObject([{ key: null, id: gone }])
  expect(found[0]!.age_ms).toBeGreaterThan(3500_000)
  await store.drop({ key: null, id: '../../etc/passwd', age_ms: 0 }, never)
  await store.drop(found[0]!, never)
  expect((await readdir(path)).filter((name) => name.startsWith('.tmp-'))).toHaveLength(1)
  await writer.finish()
  await rm(path, { recursive: true })
})
