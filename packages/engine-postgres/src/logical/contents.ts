import { z } from 'zod'

/** Names of the members that every dump has. */
export const CONTENTS = 'contents.json'
export const GLOBALS = 'globals.sql'
/** Bytes of a part of a dump; the last one holds the rest. */
export const PART_BYTES = 16 * 1024 * 1024
/** Longest contents.json or end.json, and longest globals.sql. */
export const LONGEST_TEXT = 64 * 1024 * 1024

const Name = z.string().min(1).max(255)

export const DumpedDatabase = z.object({
  name: Name,
  /** Of its members: `databases/0001-clinic`. */
  folder: z.string().regex(/^databases\/\d{4,}-[A-Za-z0-9_-]*$/),
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  /** libc, icu or builtin. */
  provider: z.string(),
  /** Of a provider other than libc. */
  locale: z.string().nullable(),
  owner: z.string(),
  size_bytes: z.number().nullable(),
  extensions: z.array(z.object({ name: Name, version: z.string() })),
})
export type DumpedDatabase = z.infer<typeof DumpedDatabase>

const LeftOut = z.object({ name: Name, reason: z.string() })
export type LeftOut = z.infer<typeof LeftOut>

/** The first member: what is in the archive, known before the first dump. */
export const Contents = z.object({
  format: z.literal('salvor-dump'),
  version: z.literal(1),
  server_version: z.string(),
  server_version_num: z.number(),
  /** Of pg_dump. */
  dump_version: z.string(),
  /** globals.sql holds the roles' password hashes. */
  role_passwords: z.boolean(),
  databases: z.array(DumpedDatabase),
  /** Databases of the server that are not in it. */
  left_out: z.array(LeftOut),
})
export type Contents = z.infer<typeof Contents>

/** The last member of each database: what its dump turned out to be. */
export const DumpEnd = z.object({
  bytes: z.number(),
  parts: z.number(),
  /** The instant whose committed state the dump of this database holds, and where the WAL was. */
  consistent_at: z.string(),
  lsn: z.string().nullable(),
  /** Rows of tables in that state, as far as they could be counted cheaply. */
  tables: z.array(z.object({ schema: Name, name: Name, rows: z.number() })),
  /** Tables that were not counted. */
  uncounted: z.number(),
})
export type DumpEnd = z.infer<typeof DumpEnd>

/** A name of a database is never a path: what is left of it in one is for people only, the number makes it unique. */
export const folderOf = (index: number, database: string): string =>
  `databases/${String(index + 1).padStart(4, '0')}-${database.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 63)}`

/** `dump.000000`: their names in order are their bytes in order. */
export const partName = (folder: string, part: number): string => `${folder}/dump.${String(part).padStart(6, '0')}`
export const endName = (folder: string): string => `${folder}/end.json`
