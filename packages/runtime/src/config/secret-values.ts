import { scrypt } from 'node:crypto'
import { open } from 'node:fs/promises'

/** Far above any key or URL; a path that names a disk image by mistake ends here. */
const MAX_BYTES = 64 * 1024

/** A secret from its file, without the newline that editors add. Throws an Error whose message may be shown. */
export async function readSecretFile(file: string): Promise<string> {
  const text = await readStart(file).catch((error: unknown) => {
    throw new Error(whyUnreadable(error), { cause: error })
  })
  const value = text.replace(/\r?\n$/, '')
  if (value === '') throw new Error('the file is empty')
  return value
}

async function readStart(file: string): Promise<string> {
  await using handle = await open(file, 'r')
  const buffer = Buffer.alloc(MAX_BYTES + 1)
  let length = 0
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null)
    if (bytesRead === 0) return buffer.toString('utf8', 0, length)
    length += bytesRead
    if (length > MAX_BYTES) throw new Error('the file is larger than 64 KiB')
  }
}

function whyUnreadable(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'this user may not read it'
  if (code === 'EISDIR') return 'it is a folder'
  return code ?? (error as Error).message
}

/** A secret and the parts of it that drivers and SDKs put into their messages alone. */
export function secretParts(value: string): readonly string[] {
  // A URL with several hosts is none to URL.parse: the first will do.
  const single = value.replace(/^(\w+:\/\/(?:[^/?#]*@)?[^/?#,]*),[^/?#]*/, '$1')
  const url = value.includes('://') ? URL.parse(single) : null
  const parts = [value]
  if (url) {
    const long = [...url.searchParams.values()].filter((v) => v.length >= 16)
    parts.push(url.password, decoded(url.password), ...long)
    const path = url.pathname.split('/').filter((part) => part.length >= 16)
    // The path of a webhook is its password; that of a database is a name.
    if (url.protocol === 'https:') parts.push(url.pathname, ...path)
    const libpq = url.searchParams.get('password')
    if (libpq) parts.push(libpq)
  }
  for (const [, part] of value.matchAll(/(?:AccountKey|SharedAccessSignature|password)=([^;\s]+)/gi)) parts.push(part!)
  return [...new Set(parts)].filter((part) => part.length > 1)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Tells whether a secret changed without saying what it is. */
export type DigestSecret = (value: string) => Promise<string>

const known = new Map<string, Promise<string>>()

/** Slow to guess even for a short password: 20 ms of a core. So each value is digested once by a process, which has them all in memory anyway. */
export function secretDigest(value: string): Promise<string> {
  const digest = known.get(value) ?? digested(value)
  known.set(value, digest)
  return digest
}

/** For who compares no configurations. */
export const undigested: DigestSecret = async () => ''

function digested(value: string): Promise<string> {
  return new Promise((resolve, reject) => {
    scrypt(value, 'salvor configuration', 16, { N: 8192 }, (error, key) => {
      if (error) reject(error)
      else resolve(key.toString('hex'))
    })
  })
}
