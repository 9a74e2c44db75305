import { createHash } from 'node:crypto'
import { open, rename } from 'node:fs/promises'
import { linesOf } from './lines.ts'

const GATHERED = 64 * 1024

/** Writes backup_manifest anew without one of its files, line by line; its checksum follows. */
export async function withoutFile(manifest: string, path: string, signal: AbortSignal): Promise<void> {
  const fresh = `${manifest}.new`
  const out = await open(fresh, 'wx', 0o600)
  try {
    const hash = createHash('sha256')
    let held = ''
    const write = async (text: string, atLeast: number): Promise<void> => {
      held += text
      if (held.length < atLeast) return
      await out.writeFile(held)
      held = ''
    }
    for await (const line of linesWithout(manifest, path, signal)) {
      const last = line.startsWith('"Manifest-Checksum"')
      const text = last ? `"Manifest-Checksum": "${hash.digest('hex')}"}\n` : `${line}\n`
      if (!last) hash.update(text)
      await write(text, last ? 0 : GATHERED)
    }
    await out.sync()
  } finally {
    await out.close()
  }
  await rename(fresh, manifest)
}

/** An entry ends with a comma if another follows: the one before the missing one may lose its own. */
async function* linesWithout(manifest: string, path: string, signal: AbortSignal): AsyncGenerator<string> {
  const start = `{ "Path": ${JSON.stringify(path)},`
  let held: string | null = null
  for await (const line of linesOf(manifest, signal)) {
    if (line.startsWith(start)) {
      if (!line.endsWith(',') && held?.endsWith(',')) held = held.slice(0, -1)
      continue
    }
    if (held !== null) yield held
    held = line
  }
  if (held !== null) yield held
}
