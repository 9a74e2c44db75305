import { randomBytes } from 'node:crypto'
import { link, mkdir, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createSigningKey } from '@salvor/repository/create-keys'
import { parseKeyFile, publicOnly, recoveryKeyFile, serializeKeyFile } from '@salvor/repository/key-file'
import { openKeyring, parseKeyring } from '@salvor/repository/keyring'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { isPrivate, onSecretMount } from './private-file.ts'

/** Room for ten thousand keys; a path that names something else by mistake ends here. */
const MAX_BYTES = 4 << 20
const OWN_KEY = 'signing-key.json'

export interface KeyringPlace {
  /** The operator's keyring; null: none is configured. */
  readonly keyring_file: string | null
  readonly data_dir: string
}

/**
 * The keyring of this installation: the operator's, or a signing key in data_dir that the first process to come makes and
 * all others use. KEYRING_INVALID for a file that others may read, or that holds no keys.
 */
export async function loadKeyring({ keyring_file, data_dir }: KeyringPlace, now: () => Instant): Promise<KeyRing> {
  const file = join(data_dir, OWN_KEY)
  if (keyring_file !== null) return await configured(keyring_file, file)
  const bytes = await readPrivate(file).catch(async (error: unknown) => {
    if (!isMissing(error)) throw error
    await makeSigningKey(data_dir, file, now())
    return await readPrivate(file)
  })
  return parseKeyring(bytes, file, false)
}

/**
 * The operator's keyring, or a recovery key in PEM from the safe. What this installation signed with its own key before it
 * had a keyring stays trusted.
 */
async function configured(keyring_file: string, ownFile: string): Promise<KeyRing> {
  const bytes = await readPrivate(keyring_file)
  const isPem = bytes.subarray(0, 11).toString('latin1') === '-----BEGIN '
  const keys = isPem ? recoveryKeyFile(bytes.toString('latin1'), keyring_file) : parseKeyFile(bytes, keyring_file)
  const own = await readPrivate(ownFile).then(
    (found) => publicOnly(parseKeyFile(found, ownFile), { signing: false }).signing,
    (error: unknown) => {
      if (isMissing(error)) return []
      throw error
    },
  )
  const signing = [...keys.signing, ...own.filter((one) => keys.signing.every((key) => key.key_id !== one.key_id))]
  // A recovery key alone knows no signers: it opens, and says that the signature is of a key it does not know.
  return openKeyring({ ...keys, signing }, keyring_file, !isPem)
}

/** KEYRING_INVALID for a file that others may read; private-file.ts has the rule. */
export async function readPrivate(file: string): Promise<Buffer> {
  await using handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    throw invalid(
      file,
      error.code === 'ENOENT' ? 'there is no such file' : `it cannot be opened (${error.code})`,
      error,
    )
  })
  const { mode, uid, gid, size } = await handle.stat()
  if (!isPrivate({ mode, uid, gid }) && !(await onSecretMount(file)))
    throw invalid(file, `its mode is ${(mode & 0o777).toString(8).padStart(4, '0')}: others may read it`)
  if (size > MAX_BYTES) throw invalid(file, 'it is too large')
  return await handle.readFile().catch((error: NodeJS.ErrnoException) => {
    throw invalid(file, `it cannot be read (${error.code})`, error)
  })
}

/** Whole or not at all, and never over a key that is there: of racing processes one wins and all read its key. */
async function makeSigningKey(folder: string, file: string, now: Instant): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = `${file}.${process.pid}-${randomBytes(6).toString('hex')}.tmp`
  try {
    await using handle = await open(draft, 'wx', 0o600)
    await handle.writeFile(serializeKeyFile(createSigningKey(now)))
    await handle.sync()
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  } catch (error) {
    throw invalid(file, `it cannot be made (${(error as NodeJS.ErrnoException).code})`, error)
  } finally {
    await unlink(draft).catch(() => {})
  }
  await using handle = await open(folder, 'r')
  await handle.sync()
}

function invalid(file: string, reason: string, cause?: unknown): SalvorError {
  return new SalvorError('KEYRING_INVALID', { file, reason }, cause)
}

function isMissing(error: unknown): boolean {
  return error instanceof SalvorError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
}
