import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { createKeys } from '@salvor/repository/create-keys'
import { listKeys, parseKeyFile, serializeKeyFile } from '@salvor/repository/key-file'
import { systemClock } from '@salvor/runtime/clock'
import { loadConfig } from '@salvor/runtime/config/load-config'
import { readPrivate } from '@salvor/runtime/keyring-file'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import pc from 'picocolors'
import type { GlobalOptions } from '../context.ts'
import { done, table, type Answer } from '../output.ts'

/** `salvor keys create`: a keyring for this installation and a recovery key for the safe. Never overwrites a file. */
export async function keysCreate(files: { out: string; recovery: string }, _options: GlobalOptions): Promise<Answer> {
  const out = resolve(files.out)
  const recovery = resolve(files.recovery)
  const { keyring, recovery: pem } = createKeys(systemClock.now())
  // The recovery key first: a keyring without one would be used, and nobody would miss it until the worst day.
  await writeNew(recovery, Buffer.from(pem))
  await writeNew(out, serializeKeyFile(keyring))
  const lines = [
    `${pc.green('✓')} ${out}`,
    `${pc.green('✓')} ${recovery}`,
    '',
    'In salvor.yaml:  encryption: { keyring_file: ' + out + ' }',
    `${pc.yellow('Print the recovery key or put it into a safe, then take it off this machine.')} Without it and without the keyring no`,
    'encrypted backup opens. Copy the keyring to a second place too.',
  ]
  return done({ keyring_file: out, recovery_file: recovery, keys: listKeys(keyring) }, lines)
}

/** `salvor keys list`: what the configured keyring holds, without the keys themselves. */
export async function keysList(options: GlobalOptions): Promise<Answer> {
  const config = await loadConfig(options.config, process.env)
  if (config.keyring_file === null) {
    return done({ keyring_file: null, keys: [] }, ['No keyring is configured: salvor keys create'])
  }
  const keys = listKeys(parseKeyFile(await readPrivate(config.keyring_file), config.keyring_file))
  const head = ['KEY', 'PURPOSE', 'SOURCE', 'CLASS', 'CREATED (UTC)', 'PRIVATE HALF'].map((word) => pc.dim(word))
  const rows = keys.map((k) => [
    k.key_id,
    k.purpose,
    k.source,
    k.retention_class,
    k.created_at.slice(0, 19),
    k.private ? 'here' : 'elsewhere',
  ])
  return done({ keyring_file: config.keyring_file, keys }, table([head, ...rows]))
}

async function writeNew(file: string, bytes: Buffer): Promise<void> {
  try {
    await using handle = await open(file, 'wx', 0o600)
    await handle.writeFile(bytes)
    await handle.sync()
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST'
    const reason = exists ? 'it exists already and is never overwritten' : String((error as NodeJS.ErrnoException).code)
    throw new SalvorError('KEYRING_INVALID', { file, reason }, error)
  }
}
