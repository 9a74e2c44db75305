import { z } from 'zod'
import { parseServers, serviceOf } from './connect/servers.ts'

/** What a source of kind `postgres` says besides the keys that all sources share. */
export const PostgresConfig = z.strictObject({
  /** postgres://user:password@host:port,host2:port2/database?sslmode=verify-full&sslrootcert=/path/ca.pem&target_session_attrs=any */
  url: z.string().superRefine((url, issues) => {
    // What a service file says is known when it is connected.
    const parsed = serviceOf(url) === null ? parseServers(url) : null
    if (parsed !== null && 'problem' in parsed) issues.addIssue({ code: 'custom', message: parsed.problem })
  }),
  /** A file with the password and nothing else, read at each connection. Without it and one in the URL: PGPASSFILE, ~/.pgpass. */
  password_file: z.string().min(1).optional(),
  /** WAL that a running backup may make a server without max_slot_wal_keep_size keep, before the backup gives up. */
  max_wal_hold: z
    .string()
    .regex(/^\d+(\.\d+)?\s?(MB|GB|TB|MiB|GiB|TiB)$/, 'a size such as 16GB')
    .default('16GB'),
  /**
   * How an incremental is taken. `native`: by the server (17 and later), a full where it cannot. `pages`: the whole copy is
   * read, and pages that are as before are left out. `auto`: the server's where it can, else pages.
   */
  incrementals: z.enum(['auto', 'native', 'pages']).default('auto'),
})
export type PostgresConfig = z.infer<typeof PostgresConfig>

const UNITS: Readonly<Record<string, number>> = {
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

export function walHoldBytes(config: PostgresConfig): bigint {
  const [, amount, unit] = /^([\d.]+)\s?(\w+)$/.exec(config.max_wal_hold)!
  return BigInt(Math.round(Number(amount) * UNITS[unit!]!))
}
