import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import { memberPath } from '../data-folder/member-name.ts'
import type { TarHeader } from '../tar/header.ts'
import { DigestsThread } from './digests-thread.ts'
import { DigestsWriter } from './digests-writer.ts'
import { KEY_BYTES } from './page-digest.ts'
import { pagesOf } from './relation.ts'
import { TarFeed, type TarListener } from './tar-feed.ts'

const MANIFEST = 'backup_manifest'

/** Passes a base backup on, and keeps what the next incremental needs to know of it: the manifest, and digests of all pages where wanted. */
export class RecordingSink implements SnapshotSink, TarListener, AsyncDisposable {
  readonly file: string
  readonly #out: SnapshotSink
  readonly #feed = new TarFeed(this)
  readonly #thread: DigestsThread | null
  readonly #writer: DigestsWriter | null
  #closed = false
  #into: 'pages' | 'manifest' | null = null

  constructor(out: SnapshotSink, folder: string, pages: boolean) {
    this.#out = out
    this.file = join(folder, 'own.digests')
    this.#thread = pages ? new DigestsThread({ file: this.file, key: randomBytes(KEY_BYTES) }) : null
    this.#writer = pages ? null : new DigestsWriter(this.file, null)
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#feed.write(chunk)
    const taken = this.#out.write(chunk)
    const room = this.#thread?.room
    return room && taken ? Promise.all([room, taken]).then(() => undefined) : (room ?? taken)
  }

  writeFile(): Promise<void> {
    return Promise.reject(new TypeError('a base backup is no file'))
  }

  member(header: TarHeader): void {
    const path = memberPath(header)
    const pages = this.#thread === null ? 0 : pagesOf(path, header.size)
    this.#into = path === MANIFEST ? 'manifest' : pages > 0 ? 'pages' : null
    if (pages > 0) this.#thread!.file(path, pages)
  }

  data(bytes: Buffer): void {
    if (this.#into === 'pages') this.#thread!.data(bytes)
    else if (this.#into === 'manifest') (this.#thread ?? this.#writer)!.manifest(bytes)
  }

  /** Gives the file once all of it is written. */
  async finish(): Promise<string> {
    await this.#thread?.finish()
    this.#close()
    return this.file
  }

  #close(): void {
    if (!this.#closed) this.#writer?.close()
    this.#closed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close()
    await this.#thread?.[Symbol.asyncDispose]()
  }
}
