import { appendFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ControlFile } from './control-file.ts'

/** What would tie the copy to other servers: where it follows, what it fetches and where it writes. */
const STANDS_ALONE = [
  'primary_conninfo',
  'primary_slot_name',
  'restore_command',
  'archive_cleanup_command',
  'recovery_end_command',
  'recovery_target',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_xid',
  'recovery_target_lsn',
]

/**
 * Makes a restored data folder a server of its own: it follows nobody, fetches nothing, and does not write into the
 * archive of the server that it was copied from. Files of configuration that lay elsewhere (Debian: /etc) are made.
 */
export async function standAlone(folder: string, control: ControlFile): Promise<{ readonly created: string[] }> {
  for (const name of ['standby.signal', 'recovery.signal', 'postmaster.pid', 'postmaster.opts']) {
    await rm(join(folder, name), { force: true })
  }
  const lines = [
    '',
    '# Written by Salvor when this copy was restored. Remove the last line to archive WAL from here again.',
    ...STANDS_ALONE.map((name) => `${name} = ''`),
    "archive_mode = 'off'",
    '',
  ]
  await appendFile(join(folder, 'postgresql.auto.conf'), lines.join('\n'), { mode: 0o600 })
  const created: string[] = []
  for (const [name, text] of Object.entries(configuration(control))) {
    const path = join(folder, name)
    if (await exists(path)) continue
    await writeFile(path, text, { flag: 'wx', mode: 0o600 })
    created.push(name)
  }
  return { created }
}

function configuration({ parameters }: ControlFile): Readonly<Record<string, string>> {
  const made = '# Made by Salvor: the source keeps this file outside of its data folder.\n'
  return {
    'postgresql.conf': `${made}listen_addresses = 'localhost'\n${Object.entries(parameters)
      .map(([name, value]) => `${name} = ${value}\n`)
      .join('')}`,
    'pg_hba.conf': `${made}local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n`,
    'pg_ident.conf': made,
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
