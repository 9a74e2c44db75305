import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import { memberPath } from '../data-folder/member-name.ts'
import type { TarHeader } from '../tar/header.ts'
import { AlikeRanges } from './alike-ranges.ts'
import { DigestsWriter } from './digests-writer.ts'
import { KEY_BYTES } from './page-digest.ts'
import { pagesOf } from './relation.ts'
import { TarFeed, type TarListener } from './tar-feed.ts'

const MANIFEST = 'backup_manifest'

/** Passes a base backup on, and keeps what the next incremental needs to know of it: the manifest, and digests of all pages where wanted. */
export class RecordingSink implements SnapshotSink, TarListener, Disposable {
  readonly file: string
  /** Of what it digests itself nothing is compared. */
  readonly alike = new AlikeRanges()
  readonly #out: SnapshotSink
  readonly #feed = new TarFeed(this)
  readonly #pages: boolean
  readonly #writer: DigestsWriter
  #closed = false
  #into: 'pages' | 'manifest' | null = null

  constructor(out: SnapshotSink, folder: string, pages: boolean) {
    this.#out = out
    this.file = join(folder, 'own.digests')
    this.#pages = pages
    // Digested here and not in a thread: handing the bytes over would cost more than the digests do.
    const digesting = pages ? ({ algorithm: 'nh128', key: randomBytes(KEY_BYTES) } as const) : null
    this.#writer = new DigestsWriter(this.file, digesting)
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#feed.write(chunk)
    return this.#out.write(chunk)
  }

  writeFile(): Promise<void> {
    return Promise.reject(new TypeError('a base backup is no file'))
  }

  member(header: TarHeader): void {
    const path = memberPath(header)
    const pages = this.#pages ? pagesOf(path, header.size) : 0
    this.#into = path === MANIFEST ? 'manifest' : pages > 0 ? 'pages' : null
    if (pages > 0) this.#writer.file(path, pages)
  }

  data(bytes: Buffer): void {
    if (this.#into === 'pages') this.#writer.pages(bytes)
    else if (this.#into === 'manifest') this.#writer.manifest(bytes)
  }

  get manifestAt(): number | null {
    return this.#writer.manifestAt
  }

  /** Gives the file once all of it is written. */
  finish(): string {
    this.#close()
    return this.file
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#writer.close()
  }

  [Symbol.dispose](): void {
    this.#close()
  }
}
