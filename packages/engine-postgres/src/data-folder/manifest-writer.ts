import { createHash } from 'node:crypto'
import { crcHex } from './crc32c.ts'
import type { WalRange } from './manifest.ts'

export interface NewEntry {
  /** A byte string. */
  readonly path: string
  readonly size: number
  /** Seconds since 1970. */
  readonly mtime: number
  readonly crc: number
}

/** backup_manifest in the form in which servers write it: version 2 from 17 on. The text is given piece by piece. */
export class ManifestWriter {
  readonly #hash = createHash('sha256')
  #files = 0

  head(major: number, systemId: string): string {
    const identity =
      major >= 17 ? `"PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": ${systemId},\n` : null
    return this.#text(`{ ${identity ?? '"PostgreSQL-Backup-Manifest-Version": 1,\n'}"Files": [`)
  }

  file(entry: NewEntry): string {
    const modified = `${new Date(Math.floor(entry.mtime) * 1000).toISOString().slice(0, 19).replace('T', ' ')} GMT`
    const line = `{ ${name(entry.path)}, "Size": ${entry.size}, "Last-Modified": "${modified}", "Checksum-Algorithm": "CRC32C", "Checksum": "${crcHex(entry.crc)}" }`
    return this.#text(`${this.#files++ === 0 ? '\n' : ',\n'}${line}`)
  }

  /** `ranges`: the WAL that makes the files consistent. A cleanly stopped server needs none. */
  tail(ranges: readonly WalRange[] = []): string {
    const lines = ranges.map(
      ({ timeline, start, end }) => `{ "Timeline": ${timeline}, "Start-LSN": "${start}", "End-LSN": "${end}" }`,
    )
    const text = this.#text(`\n],\n"WAL-Ranges": [\n${lines.join(',\n')}${lines.length > 0 ? '\n' : ''}],\n`)
    return `${text}"Manifest-Checksum": "${this.#hash.digest('hex')}"}\n`
  }

  #text(text: string): string {
    this.#hash.update(text)
    return text
  }
}

function name(path: string): string {
  const bytes = Buffer.from(path, 'latin1')
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes)
    ? `"Path": ${JSON.stringify(text)}`
    : `"Encoded-Path": "${bytes.toString('hex')}"`
}
