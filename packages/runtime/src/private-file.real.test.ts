import { execFile, execFileSync } from 'node:child_process'

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'

/** In a mount namespace of its own, which a container is too: /run is new there, and nothing of it stays. */
const INSIDE = `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/salvor /run/secrets/plain
mount -t tmpfs tmpfs /run/secrets/salvor
printf key > /run/secrets/salvor/keys.json
printf key > /run/secrets/plain/keys.json
chmod 444 /run/secrets/salvor/keys.json /run/secrets/plain/keys.json
"$1" --conditions=source "$2" /run/secrets/salvor/keys.json
mount -o remount,ro,bind /run/secrets/salvor
"$1" --conditions=source "$2" /run/secrets/salvor/keys.json
"$1" --conditions=source "$2" /var/run/secrets/salvor/keys.json
"$1" --conditions=source "$2" /run/secrets/plain/keys.json
`

test('a key readable for all is taken from a read-only secret mount of the container, and from nowhere else', async (context) => {
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' })
  } catch {
    context.skip('needs root: a mount namespace')
  }
  const folder = await mkdtemp(join(tmpdir(), 'salvor-mounts-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const reader = join(folder, 'read.mjs')
  const place = new URL('./keyring-file.ts', import.meta.url).href
  await writeFile(
    reader,
    `import { readPrivate } from ${JSON.stringify(place)}
     console.log(await readPrivate(process.argv[2]).then(String, (error) => error.message))`,
  )
  const args = ['--mount', 'sh', '-c', INSIDE, 'sh', process.execPath, reader]
  const { stdout } = await promisify(execFile)('unshare', args)
  const [writable, mounted, linked, plain] = stdout.trim().split('\n')
  expect(writable).toContain('others may read it')
  expect(mounted).toBe('key')
  expect(linked).toBe('key')
  expect(plain).toContain('others may read it')
})
