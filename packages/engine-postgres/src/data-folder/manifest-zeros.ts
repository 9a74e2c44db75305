import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { gathered } from './gathered.ts'
import { linesOf } from './lines.ts'
import { fileOfLine, ManifestReader } from './manifest.ts'
import { crcOfZeros } from './zeros.ts'

/** Writes backup_manifest anew, in which some of its files are zeros. Its own checksum is looked at first. */
export async function withZeros(
  manifest: string,
  isZeros: (name: string) => boolean,
  signal: AbortSignal,
): Promise<void> {
  for await (const _ of new ManifestReader(manifest, signal).files());
  const hash = createHash('sha256')
  async function* lines(): AsyncGenerator<string> {
    for await (const line of linesOf(manifest, signal)) {
      if (line.startsWith('"Manifest-Checksum"')) {
        yield `"Manifest-Checksum": "${hash.digest('hex')}"}\n`
        return
      }
      const text = `${isEntry(line) ? zeroed(line, isZeros) : line}\n`
      hash.update(text)
      yield text
    }
  }
  const fresh = `${manifest}.new`
  await pipeline(gathered(lines()), createWriteStream(fresh, { flags: 'w', mode: 0o600, flush: true }), { signal })
  await rename(fresh, manifest)
}

const isEntry = (line: string): boolean => /^\{ "(?:Encoded-)?Path": /.test(line)

function zeroed(line: string, isZeros: (name: string) => boolean): string {
  const { path, size } = fileOfLine(line)
  if (!isZeros(path)) return line
  return line.replace(/"Checksum": "[0-9a-fA-F]{8}"/, `"Checksum": "${crcOfZeros(size)}"`)
}
