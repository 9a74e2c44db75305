import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

test('processes that start at once end with one key', async () => {
  const data_dir = await mkdtemp(join(tmpdir(), 'salvor-keys-'))
  onTestFinished(() => rm(data_dir, { recursive: true }))
  const script = join(import.meta.dirname, 'keyring-file.fixture.ts')
  const signers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = fork(script, [data_dir], { execArgv: ['--conditions=source'] })
      const [signer] = (await once(child, 'message')) as [string]
      return signer
    }),
  )
  expect(new Set(signers).size).toBe(1)
  expect(await readdir(data_dir)).toEqual(['signing-key.json'])
})
