import { existsSync } from 'node:fs'
import { opendir, rmdir, unlink } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'

const AT_ONCE = 256
const RETRIES = 3
const WAIT_MS = 100

/**
 * As `rm -r`, some entries at a time: `fs.rm` begins with all of a folder at once, which takes 170 MB for the 100,000 files that a restored
 * cluster may have. What is not there is no error; a folder into which others still write is tried again.
 */
export async function removeTree(path: string): Promise<void> {
  for (let left = RETRIES; ; left -= 1) {
    try {
      await removeFolder(Buffer.from(path))
      return
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOTDIR') return await unlink(path)
      if (code === 'ENOENT' && !existsSync(path)) return
      if (left === 0 || (code !== 'ENOTEMPTY' && code !== 'ENOENT')) throw error
      await setTimeout(WAIT_MS)
    }
  }
}

async function removeFolder(folder: Buffer): Promise<void> {
  let some: Promise<void>[] = []
  // Names are bytes, which need not be text.
  for await (const entry of await opendir(folder, { encoding: 'latin1', bufferSize: AT_ONCE })) {
    const path = Buffer.concat([folder, Buffer.from('/'), Buffer.from(entry.name, 'latin1')])
    if (entry.isDirectory()) await removeFolder(path)
    else some.push(unlink(path))
    if (some.length < AT_ONCE) continue
    await Promise.all(some)
    some = []
  }
  await Promise.all(some)
  await rmdir(folder)
}
