import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { gathered } from './gathered.ts'
import { linesOf } from './lines.ts'
import { fileOfLine, type ManifestFile, ManifestReader } from './manifest.ts'

/** The CRC-32C of a file as it is now, as hex; null: the one that it had. */
export type NewSum = (file: ManifestFile) => string | null

/** Writes backup_manifest anew, in which some of its files have other contents of the same length. Its own checksum is looked at first. */
export async function withSums(manifest: string, sumOf: NewSum, signal: AbortSignal): Promise<void> {
  for await (const _ of new ManifestReader(manifest, signal).files());
  const hash = createHash('sha256')
  async function* lines(): AsyncGenerator<string> {
    for await (const line of linesOf(manifest, signal)) {
      if (line.startsWith('"Manifest-Checksum"')) {
        yield `"Manifest-Checksum": "${hash.digest('hex')}"}\n`
        return
      }
      const text = `${isEntry(line) ? summed(line, sumOf) : line}\n`
      hash.update(text)
      yield text
    }
  }
  const fresh = `${manifest}.new`
  await pipeline(gathered(lines()), createWriteStream(fresh, { flags: 'w', mode: 0o600, flush: true }), { signal })
  await rename(fresh, manifest)
}

const isEntry = (line: string): boolean => /^\{ "(?:Encoded-)?Path": /.test(line)

function summed(line: string, sumOf: NewSum): string {
  const sum = sumOf(fileOfLine(line))
  return sum === null ? line : line.replace(/"Checksum": "[0-9a-fA-F]{8}"/, `"Checksum": "${sum}"`)
}
