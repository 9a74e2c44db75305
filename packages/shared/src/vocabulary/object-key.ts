import { SalvorError } from '../errors/salvor-error.ts'

/**
 * One part of a key: starts and ends with a letter, digit, `_`, `~` or `%`; `.`, `-`, `+`, `=`, `,` and `@` may stand inside.
 * So no part is empty, `.`, `..`, hidden, or ends in a way that a store would fold into another name.
 */
const PART = /^[A-Za-z0-9_%~](?:[A-Za-z0-9_%~.+=,@-]*[A-Za-z0-9_%~])?$/
const PART_BEGINNING = /^[A-Za-z0-9_%~][A-Za-z0-9_%~.+=,@-]*$/
/** A file name on every file system; with a prefix of 100 characters a key still fits the 1,024 bytes of S3. */
const LONGEST_PART = 240
const LONGEST_KEY = 900

/** A key as the repository's layout makes them: relative, plain ASCII, no part that a file system or a store reads as a direction. */
export function isObjectKey(key: string): boolean {
  return key.length <= LONGEST_KEY && key.split('/').every((part) => part.length <= LONGEST_PART && PART.test(part))
}

/** Guards every way from a key to a path or a request: STORE_KEY_INVALID for a key that Salvor would not write. */
export function assertObjectKey(key: string): void {
  if (!isObjectKey(key)) throw new SalvorError('STORE_KEY_INVALID', { key: JSON.stringify(key.slice(0, 200)) })
}

/** The same for the beginning of keys: empty, whole parts ending in `/`, or with the beginning of one more part. */
export function assertKeyPrefix(prefix: string): void {
  const parts = prefix.split('/')
  const last = parts.pop()!
  const plain = parts.every((part) => part.length <= LONGEST_PART && PART.test(part))
  if (prefix.length > LONGEST_KEY || !plain || (last !== '' && !PART_BEGINNING.test(last))) {
    throw new SalvorError('STORE_KEY_INVALID', { key: JSON.stringify(prefix.slice(0, 200)) })
  }
}
