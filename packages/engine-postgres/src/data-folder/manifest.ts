import { createHash } from 'node:crypto'
import { ManifestInvalid } from '../base-backup/manifest-spool.ts'
import { linesOf } from './lines.ts'

/** One file as backup_manifest has it. The path is a byte string. */
export interface ManifestFile {
  readonly path: string
  readonly size: number
  /** CRC-32C, the four bytes lowest first, as hex. */
  readonly crc: string
}

export interface WalRange {
  readonly timeline: number
  readonly start: string
  readonly end: string
}

/** Reads backup_manifest one line a file, as every server writes it. `walRanges` is filled when the files are through. */
export class ManifestReader {
  readonly walRanges: WalRange[] = []
  readonly #file: string
  readonly #signal: AbortSignal

  constructor(file: string, signal: AbortSignal) {
    this.#file = file
    this.#signal = signal
  }

  async *files(): AsyncGenerator<ManifestFile> {
    const hash = createHash('sha256')
    let room: 'head' | 'files' | 'wal' | 'end' = 'head'
    for await (const line of linesOf(this.#file, this.#signal)) {
      if (line.startsWith('"Manifest-Checksum"')) {
        if (line !== `"Manifest-Checksum": "${hash.digest('hex')}"}`) {
          throw new ManifestInvalid('backup_manifest does not match its own checksum')
        }
        room = 'end'
        continue
      }
      if (room === 'end') throw new ManifestInvalid('backup_manifest goes on behind its end')
      hash.update(`${line}\n`)
      if (line === '],') room = 'head'
      else if (line.startsWith('"Files": [')) room = line.endsWith(']') || line.endsWith('],') ? 'head' : 'files'
      else if (line.startsWith('"WAL-Ranges": [')) room = line.endsWith('],') ? 'head' : 'wal'
      else if (room === 'files') yield fileOfLine(line)
      else if (room === 'wal') this.walRanges.push(walRangeOf(parsed(line)))
    }
    if (room !== 'end') throw new ManifestInvalid('backup_manifest ends too early')
  }
}

function parsed(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line.replace(/,$/, '')) as Record<string, unknown>
  } catch (error) {
    throw Object.assign(new ManifestInvalid('backup_manifest holds a line that is not JSON'), { cause: error })
  }
}

export const fileOfLine = (line: string): ManifestFile => fileOf(parsed(line))

function fileOf(entry: Record<string, unknown>): ManifestFile {
  const { Path: path, 'Encoded-Path': encoded, Size: size, Checksum: crc, 'Checksum-Algorithm': algorithm } = entry
  const bytes =
    typeof path === 'string'
      ? Buffer.from(path, 'utf8')
      : typeof encoded === 'string'
        ? Buffer.from(encoded, 'hex')
        : null
  if (bytes === null || typeof size !== 'number' || typeof crc !== 'string' || algorithm !== 'CRC32C') {
    throw new ManifestInvalid('backup_manifest holds an entry without path, size and CRC32C')
  }
  return { path: bytes.toString('latin1'), size, crc: crc.toLowerCase() }
}

function walRangeOf(entry: Record<string, unknown>): WalRange {
  const { Timeline: timeline, 'Start-LSN': start, 'End-LSN': end } = entry
  if (typeof timeline !== 'number' || typeof start !== 'string' || typeof end !== 'string') {
    throw new ManifestInvalid('backup_manifest holds a WAL range without its bounds')
  }
  return { timeline, start, end }
}
