import { lstat, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Where the helper of a configuration file listens, and what lies beside its socket. */
export interface HelperPlace {
  readonly folder: string
  readonly socket: string
  /** Its age tells when a call last did its work by itself. */
  readonly stamp: string
  /** There while a helper starts. */
  readonly starting: string
}

/** `config`: absolute path. ask-helper.pl computes the same; two files that share a name are told apart by what a request says. */
export function helperPlace(config: string): HelperPlace {
  const folder = join(process.env['TMPDIR'] || '/tmp', `salvor-${process.geteuid?.() ?? 'none'}`)
  const name = join(folder, fnv1a(config))
  return { folder, socket: `${name}.sock`, stamp: `${name}.last`, starting: `${name}.starting` }
}

/** Makes the folder where needed. False: it is not this user's alone, so nothing in it may be trusted. */
export async function ownFolder(folder: string): Promise<boolean> {
  await mkdir(folder, { mode: 0o700 }).catch(() => undefined)
  return await isOwn(folder)
}

export async function isOwn(folder: string): Promise<boolean> {
  const seen = await lstat(folder).catch(() => null)
  return seen !== null && seen.isDirectory() && seen.uid === process.geteuid?.() && (seen.mode & 0o077) === 0
}

const BASIS = 0x811c9dc5
const PRIME = 0x01000193

function fnv1a(text: string): string {
  let hash = BASIS
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, PRIME) >>> 0
  return hash.toString(16).padStart(8, '0')
}
