import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import type { AlikeBytes } from '@salvor/shared/ports/artifact'
import { StreamHash } from './hash.ts'
import { asVarint, type PatchHead, patchLine } from './patch-form.ts'

const BUFFER_BYTES = 1 << 18
/** What is equal in one look is not looked at byte by byte. */
const LOOK_BYTES = 4096
/** A step costs a few bytes: fewer equal ones than that are written anew. */
const SHORTEST_TAKE = 8

export interface PatchWish {
  /** What the patch is to make. */
  readonly own: string
  /** What it is made from. */
  readonly base: string
  /** Where the two may be alike. */
  readonly alike: Iterable<AlikeBytes>
  readonly stands_on: Pick<PatchHead, 'base' | 'base_sha256'>
}

/** Writes what makes `own` of `base` (docs/format.md section 11). False: that would be longer than half of `own`, and is not worth a chain. */
export function writePatch(file: string, { own, base, alike, stands_on }: PatchWish): boolean {
  using opened = new DisposableStack()
  const [ownFile, baseFile] = [own, base].map((path) => opened.adopt(openSync(path, 'r'), closeSync)) as [
    number,
    number,
  ]
  const bytes = fstatSync(ownFile).size
  const out = opened.use(new PatchOut(file, ownFile, Math.floor(bytes / 2)))
  out.text(patchLine({ ...stands_on, bytes, sha256: shaOf(ownFile) }))
  const steps = new Steps(out, bytes)
  const compared = new Compared(ownFile, baseFile, steps)
  for (const range of alike) {
    compared.range(range)
    if (out.isTooLong) return false
  }
  steps.end()
  return out.end()
}

/** Walks through what may be alike, and tells the steps what is. */
class Compared {
  readonly #own: number
  readonly #base: number
  readonly #steps: Steps
  readonly #buffers = [Buffer.allocUnsafeSlow(BUFFER_BYTES), Buffer.allocUnsafeSlow(BUFFER_BYTES)] as const

  constructor(own: number, base: number, steps: Steps) {
    this.#own = own
    this.#base = base
    this.#steps = steps
  }

  range({ own, base, length }: AlikeBytes): void {
    // A base is read forwards only, so that a chain of patches is one pass.
    const done = Math.max(0, this.#steps.ownEnd - own, this.#steps.baseEnd - base)
    for (let at = done; at < length;) {
      const some = Math.min(length - at, BUFFER_BYTES)
      const mine = readFully(this.#own, this.#buffers[0].subarray(0, some), own + at)
      const theirs = readFully(this.#base, this.#buffers[1].subarray(0, some), base + at)
      const count = Math.min(mine, theirs)
      if (count === 0) return
      for (let from = 0; from < count; from += LOOK_BYTES) {
        this.#look(from, Math.min(from + LOOK_BYTES, count), own + at, base + at)
      }
      at += count
    }
  }

  #look(from: number, to: number, ownAt: number, baseAt: number): void {
    const [mine, theirs] = this.#buffers
    if (mine.compare(theirs, from, to, from, to) === 0) {
      this.#steps.equal(ownAt + from, baseAt + from, to - from)
      return
    }
    for (let at = from; at < to;) {
      let end = at
      while (end < to && mine[end] === theirs[end]) end += 1
      // At the rim of a look it may go on.
      const isWorth = end - at >= SHORTEST_TAKE || (end > at && (at === from || end === to))
      if (isWorth) this.#steps.equal(ownAt + at, baseAt + at, end - at)
      at = end + 1
    }
  }
}

/** Puts equal stretches together, and has what lies between them written as it is. */
class Steps {
  readonly #out: PatchOut
  readonly #bytes: number
  #skip = 0
  #take = 0
  /** Behind the last stretch that is taken. */
  ownEnd = 0
  baseEnd = 0

  constructor(out: PatchOut, bytes: number) {
    this.#out = out
    this.#bytes = bytes
  }

  equal(own: number, base: number, length: number): void {
    if (own !== this.ownEnd || base !== this.baseEnd) {
      this.#flush(own)
      this.#skip = base - this.baseEnd
      this.#take = 0
    }
    this.#take += length
    this.ownEnd = own + length
    this.baseEnd = base + length
  }

  end(): void {
    this.#flush(this.#bytes)
  }

  #flush(ownUntil: number): void {
    const anew = ownUntil - this.ownEnd
    if (this.#take === 0 && anew === 0) return
    for (const value of [this.#skip, this.#take, anew]) this.#out.bytes(asVarint(value))
    this.#out.own(this.ownEnd, anew)
  }
}

/** The file of a patch as it grows; beyond its limit nothing is written any more. */
class PatchOut implements Disposable {
  readonly #file: number
  readonly #own: number
  readonly #limit: number
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  #filled = 0
  #written = 0

  constructor(path: string, own: number, limit: number) {
    this.#file = openSync(path, 'w', 0o600)
    this.#own = own
    this.#limit = limit
  }

  get isTooLong(): boolean {
    return this.#written + this.#filled > this.#limit
  }

  text(line: string): void {
    this.bytes(Buffer.from(line))
  }

  bytes(bytes: Uint8Array): void {
    if (this.#filled + bytes.length > BUFFER_BYTES) this.#flush()
    this.#buffer.set(bytes, this.#filled)
    this.#filled += bytes.length
  }

  /** As they lie in the file that is to be made. */
  own(from: number, length: number): void {
    if (this.#written + this.#filled + length > this.#limit) {
      this.#written += length
      return
    }
    for (let at = from; at < from + length;) {
      if (this.#filled === BUFFER_BYTES) this.#flush()
      const room = this.#buffer.subarray(this.#filled, this.#filled + Math.min(BUFFER_BYTES, from + length - at))
      const count = readFully(this.#own, room, at)
      if (count === 0) throw new RangeError('digests that became shorter')
      this.#filled += count
      at += count
    }
  }

  /** False: it is longer than its limit. */
  end(): boolean {
    if (this.isTooLong) return false
    this.#flush()
    return true
  }

  #flush(): void {
    for (let at = 0; at < this.#filled;) {
      at += writeSync(this.#file, this.#buffer, at, this.#filled - at)
    }
    this.#written += this.#filled
    this.#filled = 0
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}

function shaOf(file: number): string {
  const hash = new StreamHash()
  const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  for (let count; (count = readFully(file, buffer, hash.bytes)) > 0;) hash.update(buffer.subarray(0, count))
  return hash.hex()
}

/** Gives how many bytes there were: fewer only at the end of the file. */
function readFully(file: number, into: Uint8Array, at: number): number {
  let filled = 0
  for (let got = -1; got !== 0 && filled < into.length; filled += got) {
    got = readSync(file, into, filled, into.length - filled, at + filled)
  }
  return filled
}
