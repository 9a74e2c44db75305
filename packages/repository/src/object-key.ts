import { SalvorError } from '@salvor/shared/errors/salvor-error'

const SEGMENT = /^(?:[A-Za-z0-9_-]|%[0-9A-F]{2})(?:[A-Za-z0-9._-]|%[0-9A-F]{2})*$/

/** True for keys of docs/format.md section 1: nothing in them can leave the store's folder, whoever reads them. */
export function isObjectKey(key: string): boolean {
  if (key.length > 1024 || /%00|%2F/.test(key)) return false
  return key.split('/').every((segment) => SEGMENT.test(segment))
}

/** Guards every use of a key: STORE_KEY_INVALID. The key is quoted as JSON so that no control character reaches a terminal. */
export function assertObjectKey(key: string): void {
  if (!isObjectKey(key)) throw new SalvorError('STORE_KEY_INVALID', { key: JSON.stringify(key.slice(0, 200)) })
}

/** A relative path as the part of a source's name behind `<name>/`; every other byte than `A-Za-z0-9._-` becomes `%XX`. */
export function encodeSourcePath(relative: string): string {
  const segments = relative.split('/').map((segment) => {
    const encoded = Array.from(Buffer.from(segment), byteAsText).join('')
    return encoded.startsWith('.') ? `%2E${encoded.slice(1)}` : encoded
  })
  return segments.join('/')
}

function byteAsText(byte: number): string {
  const char = String.fromCharCode(byte)
  return /[A-Za-z0-9._-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
}
