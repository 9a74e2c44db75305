import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Address } from './address.ts'

const LONGEST = 64 * 1024
const LONGEST_PASSFILE = 1024 * 1024
const OTHERS = 0o077

/** Where passwords come from when the URL has none. */
export interface PasswordPlaces {
  readonly source: string
  /** `password_file` of the configuration: the password and nothing else. */
  readonly passwordFile: string | null
  /** `passfile` of the URL, else PGPASSFILE. */
  readonly passfile: string | null
  readonly home: string | null
}

/** An address with the password that is valid now: files are read anew for each connection, so that a new password counts at once. */
export async function withPassword(address: Address, places: PasswordPlaces, database: string): Promise<Address> {
  if (address.password !== null) return address
  if (places.passwordFile !== null) return { ...address, password: await ofFile(places.source, places.passwordFile) }
  const file = places.passfile ?? (places.home === null ? null : join(places.home, '.pgpass'))
  if (file === null) return address
  const read = await contentsOf(file, LONGEST_PASSFILE)
  if (read === null) return address
  // libpq's rule: what others may read is no secret.
  if ((read.mode & OTHERS) !== 0)
    return { ...address, passwordLack: `${file} is ignored, since others may read it (chmod 600)` }
  const password = findPassword(read.text, { ...address, database })
  return password === null ? { ...address, passwordLack: `${file} has no line for it` } : { ...address, password }
}

async function ofFile(source: string, file: string): Promise<string> {
  const missing = (reason: string, cause?: unknown): SalvorError =>
    new SalvorError('SECRET_MISSING', { key: `sources.${source}.password_file`, what: file, reason }, cause)
  const read = await contentsOf(file, LONGEST).catch((error: NodeJS.ErrnoException) => {
    throw missing(error.code ?? error.message, error)
  })
  if (read === null) throw missing('there is no such file')
  const password = read.text.replace(/\r?\n$/, '')
  if (password === '') throw missing('the file is empty')
  return password
}

/** Null: there is no such file. */
async function contentsOf(file: string, longest: number): Promise<{ text: string; mode: number } | null> {
  try {
    await using handle = await open(file, 'r')
    const { mode, size } = await handle.stat()
    if (size > longest) throw new Error(`it is larger than ${longest} bytes`)
    return { text: await handle.readFile('utf8'), mode }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** The first line that fits: `host:port:database:user:password`, `*` for anything, a backslash before `:` and `\`. */
export function findPassword(
  text: string,
  wanted: Pick<Address, 'host' | 'port' | 'database' | 'user'>,
): string | null {
  // The file calls every socket so.
  const host = wanted.host.startsWith('/') ? [wanted.host, 'localhost'] : [wanted.host]
  const fields = [host, [String(wanted.port)], [wanted.database], [wanted.user]]
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    const parts = [...line.matchAll(/((?:[^:\\]|\\.)*)(?::|$)/g)].map(([, part]) => part!.replace(/\\(.)/g, '$1'))
    const raw = /^(?:(?:[^:\\]|\\.)*:){4}(.*)$/.exec(line)?.[1]
    if (raw === undefined) continue
    if (fields.every((names, i) => parts[i] === '*' || names.includes(parts[i]!))) return raw.replace(/\\(.)/g, '$1')
  }
  return null
}
