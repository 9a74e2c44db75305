import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { gathered } from '../data-folder/gathered.ts'
import { linesOf } from '../data-folder/lines.ts'
import { ManifestReader, type WalRange } from '../data-folder/manifest.ts'
import { ManifestWriter } from '../data-folder/manifest-writer.ts'
import type { LevelRead } from './read-level.ts'

export interface CombinedFiles {
  /** A line for each file: `[name, size, checksum]`. */
  readonly journal: string
  /** Of the server. */
  readonly major: number
  /** Seconds since 1970: the time that is named for every file. */
  readonly mtime: number
}

const SEGMENT = /^pg_wal\/[0-9A-F]{24}$/

/** Writes the backup_manifest of a chain's newest state into a new file: its files are those of the journal, in that order. */
export async function writeManifest(
  path: string,
  newest: LevelRead,
  { journal, major, mtime }: CombinedFiles,
  signal: AbortSignal,
): Promise<void> {
  const ranges = await walRangesOf(newest.manifest, signal)
  const writer = new ManifestWriter()
  async function* text(): AsyncGenerator<string> {
    yield writer.head(major, newest.systemId)
    for await (const line of linesOf(journal, signal)) {
      const [name, size, crc] = JSON.parse(line) as [string, number, string]
      if (!SEGMENT.test(name)) {
        yield writer.file({ path: name, size, mtime, crc: Buffer.from(crc, 'hex').readUInt32LE(0) })
      }
    }
    yield writer.tail(ranges)
  }
  await pipeline(gathered(text()), createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal })
}

async function walRangesOf(manifest: string, signal: AbortSignal): Promise<readonly WalRange[]> {
  const reader = new ManifestReader(manifest, signal)
  for await (const _ of reader.files());
  return reader.walRanges
}
