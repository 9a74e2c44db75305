import { TarInvalid, type TarHeader } from '../tar/header.ts'

/**
 * A member's path below the data folder, without `./` and the `/` of directories; empty for the folder itself. Names of
 * an archive are never trusted: what could lead out of the folder, or is neither file nor directory, is refused.
 */
export function memberPath({ name, type, typeflag }: TarHeader): string {
  if (type === 'other')
    throw new TarInvalid(`${shown(name)} is neither a file nor a directory (type ${shown(typeflag)})`)
  if (name.startsWith('/')) throw new TarInvalid(`${shown(name)} is an absolute name`)
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw new TarInvalid(`${shown(name)} leads out of the folder`)
  if (/\p{Cc}/u.test(name)) throw new TarInvalid(`${shown(name)} holds control characters`)
  if (type === 'file' && (parts.length === 0 || name.endsWith('/')))
    throw new TarInvalid(`${shown(name)} names no file`)
  return parts.join('/')
}

/** For messages: printable ASCII only, and not long. */
export const shown = (name: string): string => JSON.stringify(name.replace(/[^\x20-\x7e]/g, '?').slice(0, 200))

/** A byte string below `root`, as a path for the file system. */
export const pathBelow = (root: string, name: string): Buffer =>
  Buffer.concat([Buffer.from(`${root}/`, 'utf8'), Buffer.from(name, 'latin1')])
