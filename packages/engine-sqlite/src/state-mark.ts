import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { readFile, realpath, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { epochMicros } from '@salvor/shared/vocabulary/instant'
import { LOCAL_FILE_SYSTEMS } from '@salvor/shared/vocabulary/local-file-systems'
import type { Site } from './site.ts'

/** Coarser than the times of any file system and the corrections of our clock: a later write shows, for it gets another time. */
const YOUNG_NS = 3_000_000_000n
/** Page 1: the header with its counters. The log: its salts. The log's index: the last frame that counts, with the checksum of all. */
const LOOKED_AT_BYTES = 96
const LOOK_MS = 2_000
const BOOT_ID = '/proc/sys/kernel/random/boot_id'
const run = promisify(execFile)

/**
 * Tells the present state of a database from every later one, in milliseconds; null where that cannot be done safely, for a state
 * that is wrongly taken for an old one is a backup that does not exist.
 *
 * Why the same mark means the same state: a snapshot that is taken after the mark holds everything that was committed until then.
 * What is committed later is written later, into the main file, its log or its journal. All three have had their times for
 * `YOUNG_NS` when they are marked, so that write gives one of them a new time: also where sizes stay, after a reset of the log, and
 * whatever `touch` says of the other time. Programs that write through mapped memory may leave the times alone: they count up in
 * page 1. A machine that lost its power may have kept bytes and lost their times: another boot, another mark.
 *
 * The service's own process only looks at names and times. The bytes are read by another program: whoever closes a file drops all
 * locks of its process on it.
 */
export async function stateMark(site: Site): Promise<string | null> {
  try {
    return await mark(site)
  } catch {
    // The backup itself finds out what is wrong, and says so.
    return null
  }
}

async function mark(site: Site): Promise<string | null> {
  const path = await realpath(site.path)
  const [boot, disk, main, log, index, journal] = await Promise.all([
    readFile(BOOT_ID, 'utf8'),
    statfs(dirname(path)),
    stat(path, { bigint: true }),
    contentOf(`${path}-wal`),
    contentOf(`${path}-shm`),
    contentOf(`${path}-journal`),
  ])
  // By another name it would have another log.
  if (!main.isFile() || main.nlink !== 1n || !LOCAL_FILE_SYSTEMS.has(disk.type)) return null
  const files = [seenAs(main), log && seenAs(log), journal && { ...seenAs(journal), ctimeNs: journal.mtimeNs }]
  const now = epochMicros(site.context.now()) * 1000n
  if (files.some((file) => file !== null && isYoung(file, now))) return null
  const looked = [path, ...(log === null ? [] : [`${path}-wal`, ...(index === null ? [] : [`${path}-shm`])])]
  const facts = JSON.stringify([boot, looked, files.map((file) => file && Object.values(file).join(':'))])
  return createHash('sha256')
    .update(facts)
    .update(await firstBytes(looked))
    .digest('hex')
}

/** Null also for an empty file: it comes and goes with every program that only looks. */
async function contentOf(path: string): Promise<BigIntStats | null> {
  const seen = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  return seen === null || seen.size === 0n ? null : seen
}

interface Seen {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  /** A journal has none that counts: root's SQLite sets the owner of one that is kept whenever it looks. */
  readonly ctimeNs: bigint
}

function seenAs({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): Seen {
  return { dev, ino, size, mtimeNs, ctimeNs }
}

function isYoung({ mtimeNs, ctimeNs }: Seen, now: bigint): boolean {
  return now - (mtimeNs > ctimeNs ? mtimeNs : ctimeNs) < YOUNG_NS
}

/** One after the other. Rejects where one of the files is gone. */
async function firstBytes(paths: readonly string[]): Promise<Buffer> {
  const options = { encoding: 'buffer', env: {}, timeout: LOOK_MS, killSignal: 'SIGKILL' } as const
  const { stdout } = await run('head', ['-q', '-c', String(LOOKED_AT_BYTES), '--', ...paths], options)
  return stdout
}
