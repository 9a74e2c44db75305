import { closeSync, openSync, readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { StreamHash } from './hash.ts'
import { DigestsInvalid, parsePatchHead, PATCH_LINE_BYTES, type PatchHead } from './patch-form.ts'

const BUFFER_BYTES = 1 << 16
const OUT_BYTES = 1 << 18
const NOTHING = Buffer.alloc(0)

/** Bytes that are made as they are asked for, forwards only. */
interface Bytes {
  /** The next ones, at most so many; none: the end. Valid until the next call. */
  read(most: number): Buffer
  skip(count: number): void
}

/** The head of a patch in a file; null where it holds whole digests. DigestsInvalid. */
export function patchHeadOf(file: string): PatchHead | null {
  using bytes = new FileBytes(file)
  return parsePatchHead(bytes.first())?.head ?? null
}

/** Lays patches, the oldest first, over whole digests in one pass: no state between is made. DigestsInvalid. */
export async function composeDigests(
  whole: string,
  patches: readonly string[],
  into: string,
  signal: AbortSignal,
): Promise<void> {
  using opened = new DisposableStack()
  let made: Bytes = opened.use(new FileBytes(whole))
  let head: PatchHead | null = null
  for (const path of patches) {
    const file = opened.use(new FileBytes(path))
    const patch = parsePatchHead(file.first())
    if (patch === null) throw new DigestsInvalid('whole digests in the place of a patch')
    head = patch.head
    file.skip(patch.length)
    made = new PatchedBytes(made, file, head.bytes)
  }
  const hash = new StreamHash()
  await using out = await open(into, 'wx', 0o600)
  for (const piece of piecesOf(made)) {
    signal.throwIfAborted()
    hash.update(piece)
    await out.appendFile(piece)
  }
  const isWhole = head === null || (hash.bytes === head.bytes && hash.hex() === head.sha256)
  if (!isWhole) throw new DigestsInvalid('what the patches of the chain make is not the state that was taken')
}

function* piecesOf(made: Bytes): Generator<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(OUT_BYTES)
  for (let filled = 0; ; filled = 0) {
    while (filled < OUT_BYTES) {
      const some = made.read(OUT_BYTES - filled)
      if (some.length === 0) break
      buffer.set(some, filled)
      filled += some.length
    }
    if (filled === 0) return
    yield buffer.subarray(0, filled)
  }
}

/** What a patch makes of what lies below it. */
class PatchedBytes implements Bytes {
  readonly #below: Bytes
  readonly #patch: FileBytes
  /** Of those that it makes. */
  #left: number
  #skip = 0
  #take = 0
  #anew = 0

  constructor(below: Bytes, patch: FileBytes, bytes: number) {
    this.#below = below
    this.#patch = patch
    this.#left = bytes
  }

  read(most: number): Buffer {
    if (!this.#step()) return NOTHING
    this.#leap()
    const some =
      this.#take > 0 ? this.#below.read(Math.min(most, this.#take)) : this.#patch.read(Math.min(most, this.#anew))
    if (some.length === 0) throw new DigestsInvalid('a patch of digests that needs more than there is')
    this.#passed(some.length)
    return some
  }

  skip(count: number): void {
    for (let left = count; left > 0;) {
      if (!this.#step()) throw new DigestsInvalid('a patch of digests that needs more than there is')
      const some = Math.min(left, this.#take > 0 ? this.#take : this.#anew)
      if (this.#take > 0) this.#skip += some
      else this.#patch.skip(some)
      this.#passed(some)
      left -= some
    }
  }

  #passed(count: number): void {
    if (this.#take > 0) this.#take -= count
    else this.#anew -= count
    this.#left -= count
  }

  /** False: all is made. */
  #step(): boolean {
    while (this.#take === 0 && this.#anew === 0) {
      if (this.#left === 0) return this.#end()
      this.#skip += this.#patch.varint()
      this.#take = this.#patch.varint()
      this.#anew = this.#patch.varint()
      if (this.#take + this.#anew > this.#left) throw new DigestsInvalid('a patch of digests that makes too much')
    }
    return true
  }

  #end(): false {
    if (this.#patch.read(1).length > 0) throw new DigestsInvalid('a patch of digests that goes on behind its end')
    return false
  }

  /** What is left out below is left out in one go. */
  #leap(): void {
    if (this.#take === 0 || this.#skip === 0) return
    this.#below.skip(this.#skip)
    this.#skip = 0
  }
}

class FileBytes implements Bytes, Disposable {
  readonly #file: number
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  /** Of the file: where the buffer begins. */
  #from = 0
  #at = 0
  #filled = 0

  constructor(path: string) {
    this.#file = openSync(path, 'r')
  }

  /** Enough for the first line of a patch; they come again. */
  first(): Buffer {
    this.#fill()
    return this.#buffer.subarray(0, Math.min(this.#filled, PATCH_LINE_BYTES))
  }

  read(most: number): Buffer {
    if (this.#at >= this.#filled) this.#fill()
    const some = this.#buffer.subarray(this.#at, Math.min(this.#filled, this.#at + most))
    this.#at += some.length
    return some
  }

  /** Also beyond what the buffer holds. */
  skip(count: number): void {
    this.#at += count
  }

  varint(): number {
    let value = 0
    for (let unit = 1; unit <= Number.MAX_SAFE_INTEGER; unit *= 0x80) {
      if (this.#at >= this.#filled) this.#fill()
      if (this.#at >= this.#filled) throw new DigestsInvalid('a patch of digests that ends too early')
      const byte = this.#buffer[this.#at]!
      this.#at += 1
      value += (byte & 0x7f) * unit
      if (byte < 0x80 && Number.isSafeInteger(value)) return value
    }
    throw new DigestsInvalid('a number in a patch of digests that is too large')
  }

  #fill(): void {
    this.#from += this.#at
    this.#at = 0
    this.#filled = 0
    for (let got = -1; got !== 0 && this.#filled < BUFFER_BYTES; this.#filled += got) {
      got = readSync(this.#file, this.#buffer, this.#filled, BUFFER_BYTES - this.#filled, this.#from + this.#filled)
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}
