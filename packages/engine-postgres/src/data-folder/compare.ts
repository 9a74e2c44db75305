import { hashOf } from '../incremental/name-table.ts'
import { linesOf } from './lines.ts'
import { ManifestReader, type ManifestFile, type WalRange } from './manifest.ts'
import { shown } from './member-name.ts'

/** The unpacked files are not those of the manifest. */
export class FilesDiffer extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'FilesDiffer'
  }
}

export interface Compared {
  readonly files: number
  readonly bytes: number
  readonly walRanges: readonly WalRange[]
}

/** Files out of place that are kept in memory: some 25 MB. */
const MOST_HELD = 100_000

/**
 * Compares what was unpacked with backup_manifest, entry by entry. Both are read in the order in which the server sent
 * the files, so nothing has to be kept; where the orders differ, only what is out of place is, up to `mostHeld`. With more of it
 * both are read several times, for a part of the names each.
 */
export async function compareWithManifest(
  manifest: string,
  journal: string,
  signal: AbortSignal,
  mostHeld = MOST_HELD,
): Promise<Compared> {
  return (
    (await compareInOrder(manifest, journal, signal, mostHeld)) ??
    (await compareInParts(manifest, journal, signal, mostHeld))
  )
}

/** Null: too much is out of place. */
async function compareInOrder(
  manifest: string,
  journal: string,
  signal: AbortSignal,
  mostHeld: number,
): Promise<Compared | null> {
  const reader = new ManifestReader(manifest, signal)
  await using found = unpackedFiles(journal, signal)
  const early = new Map<string, ManifestFile>()
  const late = new Map<string, ManifestFile>()
  let files = 0
  let bytes = 0
  for await (const wanted of reader.files()) {
    files++
    bytes += wanted.size
    const next = late.get(wanted.path) ?? (await nextMatch(found, wanted.path, early, late))
    late.delete(wanted.path)
    if (next !== undefined) assertSame(wanted, next)
    else early.set(wanted.path, wanted)
    if (early.size + late.size > mostHeld) return null
  }
  for await (const extra of found) match(extra, early, late)
  assertNoneLeft(early, late)
  return { files, bytes, walRanges: reader.walRanges }
}

async function compareInParts(
  manifest: string,
  journal: string,
  signal: AbortSignal,
  mostHeld: number,
): Promise<Compared> {
  const all = new ManifestReader(manifest, signal)
  let files = 0
  let bytes = 0
  for await (const { size } of all.files()) {
    files++
    bytes += size
  }
  const parts = Math.ceil(files / mostHeld)
  for (let part = 0; part < parts; part++) {
    const isMine = ({ path }: ManifestFile): boolean => hashOf(path) % parts === part
    const early = new Map<string, ManifestFile>()
    const late = new Map<string, ManifestFile>()
    for await (const wanted of new ManifestReader(manifest, signal).files()) {
      if (isMine(wanted)) early.set(wanted.path, wanted)
    }
    for await (const found of unpackedFiles(journal, signal)) if (isMine(found)) match(found, early, late)
    assertNoneLeft(early, late)
  }
  return { files, bytes, walRanges: all.walRanges }
}

function assertNoneLeft(early: Map<string, ManifestFile>, late: Map<string, ManifestFile>): void {
  const missing = early.keys().next()
  if (!missing.done) throw new FilesDiffer(`${shown(missing.value)} is missing`)
  const extra = late.keys().next()
  if (!extra.done) throw new FilesDiffer(`${shown(extra.value)} is not in backup_manifest`)
}

/** The next unpacked file that the manifest may name; kept for later when it is another one than wanted. */
async function nextMatch(
  found: AsyncGenerator<ManifestFile>,
  path: string,
  early: Map<string, ManifestFile>,
  late: Map<string, ManifestFile>,
): Promise<ManifestFile | undefined> {
  const next = await found.next()
  if (next.done) return undefined
  if (next.value.path === path) return next.value
  match(next.value, early, late)
  return undefined
}

function match(file: ManifestFile, early: Map<string, ManifestFile>, late: Map<string, ManifestFile>): void {
  const wanted = early.get(file.path)
  if (wanted === undefined) late.set(file.path, file)
  else assertSame(wanted, file)
  early.delete(file.path)
}

function assertSame(wanted: ManifestFile, found: ManifestFile): void {
  if (wanted.size !== found.size) {
    throw new FilesDiffer(`${shown(wanted.path)} has ${found.size} bytes instead of ${wanted.size}`)
  }
  // Empty: nothing of this file was used, and it was not summed up.
  if (found.crc !== '' && wanted.crc !== found.crc)
    throw new FilesDiffer(`${shown(wanted.path)} does not match its checksum`)
}

/** WAL segments are exempt: recovery checks each record of them by itself. */
const EXEMPT = /^(?:backup_manifest|pg_wal\/[0-9A-F]{24})$/

async function* unpackedFiles(journal: string, signal: AbortSignal): AsyncGenerator<ManifestFile> {
  for await (const line of linesOf(journal, signal)) {
    const [path, size, crc] = JSON.parse(line) as [string, number, string]
    if (!EXEMPT.test(path)) yield { path, size, crc }
  }
}
