import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { CipherGCM, DecipherGCM } from 'node:crypto'
import { copyInto } from './copy-into.ts'
import { freeBuffer } from './free-buffer.ts'

export const IV_BYTES = 12
export const TAG_BYTES = 16

/** A fresh key for one artifact of one attempt. Zero it (`fill(0)`) when the attempt ends. */
export function newDataKey(): Buffer {
  return randomBytes(32)
}

/** Binds a data key to a backup, since GCM alone lets one ciphertext open under two keys. Hex. */
export function keyCommitment(dataKey: Uint8Array, backupId: string): string {
  const info = `salvor key commitment 1 ${backupId}`
  return Buffer.from(hkdfSync('sha256', dataKey, Buffer.alloc(0), info, 32)).toString('hex')
}

export function commitsTo(dataKey: Uint8Array, backupId: string, commitment: string): boolean {
  const expected = Buffer.from(commitment, 'hex')
  const found = Buffer.from(keyCommitment(dataKey, backupId), 'hex')
  return expected.length === found.length && timingSafeEqual(expected, found)
}

const PIECE_BYTES = 65_536

/**
 * What goes through a cipher at once: pieces of one size, small enough that the thread's memory gives the same ones again and again. Large
 * ones come anew from the system each time, which takes four times as long, and break up the memory.
 */
function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES)
}

/** Runs bytes through a cipher into shared memory that is there; it may be that of the bytes. */
export function inPieces(bytes: Uint8Array, cipher: (piece: Uint8Array) => Buffer, into: Buffer): void {
  let at = 0
  for (const piece of pieces(bytes)) {
    const changed = cipher(piece)
    copyInto(into, changed, at)
    at += changed.length
    freeBuffer(changed)
  }
}

/** Encrypts the frames of one segment, with an IV that no other segment has. */
export class SegmentCipher {
  readonly #cipher: CipherGCM

  constructor(dataKey: Uint8Array, iv: Uint8Array) {
    this.#cipher = createCipheriv('aes-256-gcm', dataKey, iv)
  }
  /** Changes the bytes into stored ones, in place. */
  encrypt(bytes: Buffer): void {
    inPieces(bytes, (piece) => this.#cipher.update(piece), bytes)
  }
  /** Once, after the last frame. */
  tag(): Buffer {
    this.#cipher.final()
    return this.#cipher.getAuthTag()
  }
}

/** Opens the stored bytes of a segment as they pass by, in order, and checks its tag at the end. */
export class SegmentOpener {
  readonly #decipher: DecipherGCM

  constructor(dataKey: Uint8Array, iv: Uint8Array) {
    this.#decipher = createDecipheriv('aes-256-gcm', dataKey, iv)
  }
  /** Nothing is known of the opened bytes until the stored ones were compared with the index. */
  open(stored: Uint8Array, into: Buffer): void {
    inPieces(stored, (piece) => this.#decipher.update(piece), into)
  }
  /** Once, after the last frame. */
  accepts(tag: Uint8Array): boolean {
    this.#decipher.setAuthTag(tag)
    try {
      this.#decipher.final()
      return true
    } catch {
      return false
    }
  }
}
