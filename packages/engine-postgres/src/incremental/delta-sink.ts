import { join } from 'node:path'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import { memberPath } from '../data-folder/member-name.ts'
import { BLOCK, padded, renamedHeader, type TarHeader } from '../tar/header.ts'
import { tarParts } from '../tar/parts.ts'
import { ChangedPages } from './changed-pages.ts'
import { DigestsWriter } from './digests-writer.ts'
import { incrementalName, PAGE, writeHead } from './form.ts'
import { DIGEST_BYTES, PageDigest } from './page-digest.ts'
import { PageCutter } from './page-cutter.ts'
import type { ParentFile } from './parent-file.ts'
import { PushQueue } from './push-queue.ts'
import { pagesOf } from './relation.ts'

const MANIFEST = 'backup_manifest'

/** A file whose pages are compared with the parent's. */
interface Compared {
  readonly header: Buffer
  readonly path: string
  readonly pages: number
  /** Null: it was not in the parent, and is passed on as it is. */
  readonly before: Buffer | null
  page: number
}

/**
 * Takes a whole base backup, and passes on what differs from the parent: files of which pages changed as INCREMENTAL members
 * (docs/format.md section 14), all others as they are. Writes the digests of this state for the next one.
 */
export class DeltaSink implements SnapshotSink, AsyncDisposable {
  readonly file: string
  readonly #out: SnapshotSink
  readonly #parent: ParentFile
  readonly #queue = new PushQueue()
  readonly #digest: PageDigest
  readonly #digests: DigestsWriter
  readonly #changed: ChangedPages
  readonly #cutter = new PageCutter()
  readonly #own = Buffer.alloc(DIGEST_BYTES)
  readonly #done: Promise<void>
  #closed = false
  #pages = 0
  #stored = 0

  /** `parent` must have digests of pages. */
  constructor(out: SnapshotSink, folder: string, parent: ParentFile) {
    this.file = join(folder, 'own.digests')
    this.#out = out
    this.#parent = parent
    this.#digest = new PageDigest(parent.key!)
    this.#digests = new DigestsWriter(this.file, parent.key)
    this.#changed = new ChangedPages(join(folder, 'changed.pages'))
    this.#done = this.#run()
    this.#done.catch((error: unknown) => this.#queue.fail(error))
  }

  /** For people. */
  get said(): string {
    return `${this.#stored} of ${this.#pages} pages differ from the parent`
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#queue.push(chunk)
  }

  writeFile(): Promise<void> {
    return Promise.reject(new TypeError('a base backup is no file'))
  }

  /** Gives the file of digests once everything is passed on. */
  async finish(): Promise<string> {
    this.#queue.end()
    await this.#done
    await this.#out.write(Buffer.alloc(2 * BLOCK))
    this.#close()
    return this.file
  }

  async #run(): Promise<void> {
    let compared: Compared | null = null
    let member: { readonly path: string; readonly size: number } | null = null
    for await (const part of tarParts(this.#queue)) {
      if (part.kind === 'member') {
        const path = memberPath(part.header)
        member = { path, size: part.header.size }
        compared = this.#compared(part, path)
        if (compared === null || compared.before === null) await this.#out.write(part.block)
      } else if (part.kind === 'data') {
        const file = compared
        if (file !== null) this.#cutter.cut(part.bytes, (page) => this.#page(file, page))
        if (member!.path === MANIFEST) this.#digests.manifest(part.bytes)
        if (compared === null || compared.before === null) await this.#out.write(part.bytes)
      } else if (compared?.before) await this.#emit(compared)
      else await this.#pad(member!.size)
    }
  }

  #compared({ header, block }: { header: TarHeader; block: Buffer }, path: string): Compared | null {
    const pages = pagesOf(path, header.size)
    if (pages === 0) return null
    this.#digests.file(path, pages)
    this.#pages += pages
    const before = this.#parent.digestsOf(path)
    if (before === null) this.#stored += pages
    return { header: Buffer.from(block), path, pages, before, page: 0 }
  }

  #page(file: Compared, page: Buffer): void {
    const number = file.page++
    this.#digest.write(page, this.#own, 0)
    this.#digests.digests(this.#own)
    if (file.before === null) return
    const at = number * DIGEST_BYTES
    // A page beyond the parent's end has nothing to be equal to.
    if (at < file.before.length && this.#own.equals(file.before.subarray(at, at + DIGEST_BYTES))) return
    this.#changed.add(number, page)
  }

  async #emit({ header, path, pages }: Compared): Promise<void> {
    const numbers = this.#changed.numbers
    this.#stored += numbers.length
    const head = writeHead({ truncation: pages, pages: numbers })
    const size = head.length + numbers.length * PAGE
    await this.#out.write(renamedHeader(header, incrementalName(path), size))
    await this.#out.write(head)
    await this.#changed.drain(this.#out)
    await this.#pad(size)
  }

  async #pad(size: number): Promise<void> {
    if (padded(size) > size) await this.#out.write(Buffer.alloc(padded(size) - size))
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#digests.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#queue.end()
    await this.#done.catch(() => undefined)
    this.#close()
    this.#changed[Symbol.dispose]()
  }
}
