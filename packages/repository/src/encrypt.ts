import { createCipheriv, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { CipherGCM } from 'node:crypto'

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

/** Encrypts the frames of one segment, with an IV that no other segment has. */
export class SegmentCipher {
  readonly iv = randomBytes(IV_BYTES)
  readonly #cipher: CipherGCM

  constructor(dataKey: Uint8Array) {
    this.#cipher = createCipheriv('aes-256-gcm', dataKey, this.iv)
  }
  update(plain: Uint8Array): Buffer {
    return this.#cipher.update(plain)
  }
  /** Once, after the last frame. */
  tag(): Buffer {
    this.#cipher.final()
    return this.#cipher.getAuthTag()
  }
}

/**
 * Checks the tag of a segment whose stored bytes pass by, without decrypting them: frames are opened elsewhere. The bytes go through GCM as additional data,
 * at several times the speed and with no output to be freed. Its hash takes additional data and ciphertext alike, but for its last block, which has the lengths
 * of both: what that makes of a difference is put right at the end (NIST SP 800-38D, 6.4 and 7.1).
 */
export class SegmentAuthenticator {
  readonly #gcm: CipherGCM
  readonly #hash_key: bigint
  #bytes = 0

  constructor(dataKey: Uint8Array, iv: Uint8Array) {
    this.#gcm = createCipheriv('aes-256-gcm', dataKey, iv)
    this.#hash_key = asNumber(createCipheriv('aes-256-ecb', dataKey, null).update(Buffer.alloc(16)))
  }
  update(stored: Uint8Array): void {
    this.#gcm.setAAD(stored)
    this.#bytes += stored.length
  }
  /** Once, after the last frame. */
  accepts(tag: Uint8Array): boolean {
    this.#gcm.final()
    const bits = BigInt(this.#bytes) * 8n
    const lengths = (bits << 64n) | bits
    const expected = asNumber(this.#gcm.getAuthTag()) ^ product(lengths, this.#hash_key)
    return timingSafeEqual(Buffer.from(expected.toString(16).padStart(2 * TAG_BYTES, '0'), 'hex'), tag)
  }
}

function asNumber(block: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(block).toString('hex')}`)
}

/** In the field of GHASH, whose first bit is the highest. */
function product(x: bigint, y: bigint): bigint {
  let [sum, power] = [0n, y]
  for (let bit = 127n; bit >= 0n; bit -= 1n) {
    if (((x >> bit) & 1n) === 1n) sum ^= power
    power = (power & 1n) === 1n ? (power >> 1n) ^ (0xe1n << 120n) : power >> 1n
  }
  return sum
}
