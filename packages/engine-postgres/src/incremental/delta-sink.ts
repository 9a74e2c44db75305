import { join } from 'node:path'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import { memberPath } from '../data-folder/member-name.ts'
import { BLOCK, padded, renamedHeader, type TarHeader } from '../tar/header.ts'
import { tarParts } from '../tar/parts.ts'
import { AlikeRanges } from './alike-ranges.ts'
import { ChangedPages } from './changed-pages.ts'
import { DigestsWriter } from './digests-writer.ts'
import { incrementalName, PAGE, writeHead } from './form.ts'
import { DIGEST_BYTES, PageDigester } from './page-digest.ts'
import type { ParentDigests, ParentFile } from './parent-file.ts'
import { PushQueue } from './push-queue.ts'
import { pagesOf } from './relation.ts'

const MANIFEST = 'backup_manifest'

/** A file whose pages are compared with the parent's. */
interface Compared {
  readonly header: Buffer
  readonly path: string
  readonly pages: number
  /** Null: it was not in the parent, and is passed on as it is. */
  readonly before: ParentDigests | null
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
  readonly #digester: PageDigester
  readonly #digests: DigestsWriter
  readonly #changed: ChangedPages
  /** Digests in the file that may be as the parent's. */
  readonly alike = new AlikeRanges()
  /** The file whose pages are digested. */
  #compared: Compared | null = null
  readonly #done: Promise<void>
  #closed = false
  #pages = 0
  #stored = 0

  /** `parent` must have digests of pages. */
  constructor(out: SnapshotSink, folder: string, parent: ParentFile) {
    this.file = join(folder, 'own.digests')
    this.#out = out
    this.#parent = parent
    this.#digester = new PageDigester(parent.digesting!, (digests, pages) => this.#compare(digests, pages))
    this.#digests = new DigestsWriter(this.file, parent.digesting)
    this.#changed = new ChangedPages(join(folder, 'changed.pages'))
    this.#done = this.#run()
    this.#done.catch((error: unknown) => this.#queue.fail(error))
  }

  get manifestAt(): number | null {
    return this.#digests.manifestAt
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
    let member: { readonly path: string; readonly size: number } | null = null
    for await (const part of tarParts(this.#queue)) {
      if (part.kind === 'member') {
        const path = memberPath(part.header)
        member = { path, size: part.header.size }
        this.#compared = this.#begun(part, path)
        if (this.#passesOn) await this.#out.write(part.block)
      } else if (part.kind === 'data') {
        if (this.#compared !== null) this.#digester.write(part.bytes)
        if (member!.path === MANIFEST) this.#digests.manifest(part.bytes)
        if (this.#passesOn) await this.#out.write(part.bytes)
      } else {
        this.#digester.flush()
        if (this.#compared?.before) await this.#emit(this.#compared)
        else await this.#pad(member!.size)
      }
    }
  }

  /** The present member goes on as it is. */
  get #passesOn(): boolean {
    return this.#compared === null || this.#compared.before === null
  }

  #begun({ header, block }: { header: TarHeader; block: Buffer }, path: string): Compared | null {
    const pages = pagesOf(path, header.size)
    if (pages === 0) return null
    this.#digests.file(path, pages)
    this.#pages += pages
    const before = this.#parent.digestsOf(path)
    if (before === null) this.#stored += pages
    else this.alike.add(this.#digests.at, before.at, Math.min(pages * DIGEST_BYTES, before.bytes.length))
    return { header: Buffer.from(block), path, pages, before, page: 0 }
  }

  #compare(digests: Buffer, pages: Buffer): void {
    const file = this.#compared!
    this.#digests.digests(digests)
    for (let n = 0; n < digests.length; n += DIGEST_BYTES) {
      const number = file.page++
      if (file.before === null || isSame(digests, n, file.before.bytes, number * DIGEST_BYTES)) continue
      const at = (n / DIGEST_BYTES) * PAGE
      this.#changed.add(number, pages.subarray(at, at + PAGE))
    }
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

/** A page beyond the parent's end has nothing to be equal to. */
function isSame(own: Buffer, at: number, before: Buffer, beforeAt: number): boolean {
  if (beforeAt >= before.length) return false
  return own.compare(before, beforeAt, beforeAt + DIGEST_BYTES, at, at + DIGEST_BYTES) === 0
}
