import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import { expect, test } from 'vitest'
import { never, temporaryFolder } from '../engine.fixture.ts'
import { BLOCK, makeHeader, padded } from '../tar/header.ts'
import { copyManifest } from './manifest-tail.ts'

const member = (name: string, bytes: Buffer): Buffer[] => {
  const facts = { type: 'file', size: bytes.length, mtime: 0, uid: 0, gid: 0 } as const
  return [makeHeader({ name, ...facts }), bytes, Buffer.alloc(padded(bytes.length) - bytes.length)]
}

function contentOf(archive: Buffer): ArtifactContent {
  return {
    size: archive.length,
    async *chunks() {
      for (let at = 0; at < archive.length; at += 100_003) yield archive.subarray(at, at + 100_003)
    },
    writeTo: () => Promise.reject(new Error('not used')),
  }
}

test.each([10, 2000, 3_000_000])('a manifest of %i bytes is found at the end, whatever a table holds', async (size) => {
  using folder = temporaryFolder()
  const manifest = Buffer.alloc(size, '{ "Path": "base/1/1", "Size": 8192 },\n')
  // What the header of a manifest would be, in a file: its member does not end where the archive does.
  const table = Buffer.concat([
    makeHeader({ name: 'backup_manifest', type: 'file', size: 600, mtime: 0, uid: 0, gid: 0 }),
    Buffer.alloc(8192 - BLOCK),
  ])
  const parts = [...member('base/1/1', table), ...member('backup_manifest', manifest), Buffer.alloc(2 * BLOCK)]
  const path = join(folder.path, 'manifest')
  await copyManifest(contentOf(Buffer.concat(parts)), path, never)
  expect(readFileSync(path).equals(manifest)).toBe(true)
})

test('an archive without one is refused', async () => {
  using folder = temporaryFolder()
  const archive = Buffer.concat([...member('base/1/1', Buffer.alloc(100_000)), Buffer.alloc(2 * BLOCK)])
  await expect(copyManifest(contentOf(archive), join(folder.path, 'manifest'), never)).rejects.toThrow(
    /no backup_manifest/,
  )
})
