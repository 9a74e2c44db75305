import { bytesOf } from '@salvor/shared/vocabulary/amounts'
import { ByteSize } from '@salvor/shared/vocabulary/source'
import { z } from 'zod'
import type { Choice } from './logical/server.ts'
import { parseServers, serviceOf } from './connect/servers.ts'

/** What a source of kind `postgres` says besides the keys that all sources share. */
export const PostgresConfig = z
  .strictObject({
    /** postgres://user:password@host:port,host2:port2/database?sslmode=verify-full&sslrootcert=/path/ca.pem&target_session_attrs=any */
    url: z.string().superRefine((url, issues) => {
      // What a service file says is known when it is connected.
      const parsed = serviceOf(url) === null ? parseServers(url) : null
      if (parsed !== null && 'problem' in parsed) issues.addIssue({ code: 'custom', message: parsed.problem })
    }),
    /** A file with the password and nothing else, read at each connection. Without it and one in the URL: PGPASSFILE, ~/.pgpass. */
    password_file: z.string().min(1).optional(),
    /**
     * physical: the files of the cluster, by replication. logical: dumps by pg_dump, for servers that let no role replicate
     * (managed services): fulls only, no WAL.
     */
    method: z.enum(['physical', 'logical']).default('physical'),
    /** Of a logical backup: these databases only; default: all that the role may connect to. */
    databases: z.array(z.string().min(1)).min(1).optional(),
    /** Of a logical backup: not these. */
    exclude_databases: z.array(z.string().min(1)).default([]),
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
    /** Stream WAL also from a server that does not bound what a slot makes it keep: a stream that stops can then fill its pg_wal. */
    unbounded_slot: z.literal('accept').optional(),
    wal: z
      .strictObject({
        /** Name of the replication slot; default: `salvor_` and the name of the source. */
        slot: z
          .string()
          .regex(/^[a-z0-9_]{1,63}$/, 'lower-case letters, digits and _, 63 characters at most')
          .optional(),
        /** How often what is new of an unfinished segment is stored. */
        tail: z
          .string()
          .regex(/^[1-9]\d*(s|m)$/, 'seconds or minutes, such as 5s')
          .default('5s'),
        /** WAL that may wait on this machine while no store takes it. */
        spool: ByteSize.default('2GB'),
        /** store: acknowledged once it is in a store. spool: once it is on this disk, which the next worker must see too. */
        acknowledge: z.enum(['store', 'spool']).default('store'),
        /**
         * Serve as a synchronous standby: a commit waits until it is acknowledged. The server's synchronous_standby_names must name
         * the slot.
         */
        synchronous: z.boolean().default(false),
      })
      .prefault({}),
  })
  .superRefine(({ method, databases, exclude_databases: excluded }, issues) => {
    if (method === 'logical') return
    const key = databases ? 'databases' : excluded.length > 0 ? 'exclude_databases' : null
    if (key)
      issues.addIssue({ code: 'custom', path: [key], message: 'only `method: logical` takes some of the databases' })
  })
export type PostgresConfig = z.infer<typeof PostgresConfig>

export function walHoldBytes(config: PostgresConfig): bigint {
  return BigInt(bytesOf(config.max_wal_hold))
}

export const choiceOf = ({ databases, exclude_databases: exclude }: PostgresConfig): Choice => ({
  databases: databases ?? null,
  exclude,
})

/** Name of the slot, if the configuration gives it none. */
export function slotOf({ wal }: PostgresConfig, source: string): string {
  return wal.slot ?? `salvor_${source.replaceAll(/[^a-z0-9_]/g, '_')}`.slice(0, 63)
}
