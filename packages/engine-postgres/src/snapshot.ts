import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import { epochMicros, type Instant } from '@salvor/shared/vocabulary/instant'
import { ArchiveDecoder } from './base-backup/archive-decoder.ts'
import { ArchiveTail } from './base-backup/archive-tail.ts'
import { baseBackupCommand } from './base-backup/command.ts'
import { ManifestSpool } from './base-backup/manifest-spool.ts'
import { BaseBackupReceiver, type BaseBackupParts } from './base-backup/receiver.ts'
import { holdWal } from './base-backup/wal-hold.ts'
import { openLink } from './connect/open-link.ts'
import type { Environment } from './environment.ts'
import { copyFailure } from './failures.ts'
import type { Room } from './protocol/framer.ts'
import type { Link, Row } from './protocol/link.ts'
import { LinkLost, ServerError } from './protocol/server-error.ts'
import { serverFacts, serverNotices, sourceDb, type ServerFacts } from './server-facts.ts'
import { tablespaceFacts } from './tablespaces/facts.ts'
import { BLOCK, headerLike, padded, type TarHeader } from './tar/header.ts'

const PROGRESS_EVERY = 4 * 1024 * 1024
const MANIFEST = 'backup_manifest'

/** What an incremental changes in a base backup. */
export interface BaseBackupPlan {
  /** Instead of the sink that was given. */
  readonly sink: SnapshotSink
  /** The parent's manifest was uploaded. */
  readonly incremental: boolean
}

export type MakePlan = (link: Link, facts: ServerFacts, signal: AbortSignal) => Promise<BaseBackupPlan>

/**
 * One consistent copy: the server's own base backup with its WAL, as one tar whose last member is the manifest. `plan` is
 * asked on the link that the backup will use.
 */
export async function snapshot(
  env: Environment,
  given: SnapshotSink,
  signal: AbortSignal,
  plan?: MakePlan,
): Promise<SnapshotFacts> {
  await using link = await openLink(env, 'replication', signal)
  try {
    const facts = await serverFacts(link, env.context.source, signal)
    const { sink, incremental } = plan ? await plan(link, facts, signal) : { sink: given, incremental: false }
    await using hold = await holdWal(link, facts, env, signal)
    await using spool = await ManifestSpool.create(env.context.scratch_dir)
    const both = AbortSignal.any([signal, hold.signal])
    const copying: Copying = { env, link, facts, sink, spool, incremental, signal: both }
    const { copy, notice } = await copyWhole(copying)
    // Only now is it known that no page failed its checksum: that error comes after the last byte.
    await copy.finish(both)
    const told = [hold.notice, notice].filter((text) => text !== null)
    return snapshotFacts(env, facts, copy, link, told)
  } catch (error) {
    signal.throwIfAborted()
    throw copyFailure(error, env.context.source, link.address)
  }
}

interface Copying extends BaseBackupPlan {
  readonly env: Environment
  readonly link: Link
  readonly facts: ServerFacts
  readonly spool: ManifestSpool
  readonly signal: AbortSignal
}

/** Feature not supported (15), and an invalid specification (16 and later): the server was built without zstd. */
const NO_ZSTD: ReadonlySet<string> = new Set(['0A000', '42601'])
const COMPRESSED_FROM = 15

/** A backup never fails for want of compression on its way. */
async function copyWhole(copying: Copying): Promise<{ readonly copy: BaseBackupCopy; readonly notice: string | null }> {
  const { env, facts } = copying
  if (env.context.compress_at_source !== true) return { copy: await copyOnce(copying, false), notice: null }
  const plain = async (why: string) => {
    const notice = `\`compression: { at: source }\`: ${why}, the backup came uncompressed`
    return { copy: await copyOnce(copying, false), notice }
  }
  if (facts.major < COMPRESSED_FROM) return await plain(`PostgreSQL ${facts.version} cannot compress a base backup`)
  try {
    return { copy: await copyOnce(copying, true), notice: null }
  } catch (error) {
    if (!(error instanceof ServerError) || error.fatal || !NO_ZSTD.has(error.sqlState)) throw error
    return await plain(`the server cannot compress with zstd (${error.message})`)
  }
}

async function copyOnce(copying: Copying, compressed: boolean): Promise<BaseBackupCopy> {
  const { env, link, facts, sink, spool, incremental, signal } = copying
  using copy = new BaseBackupCopy(env, sink, spool, { major: facts.major, compressed })
  const receiver = new BaseBackupReceiver(copy, facts.major, compressed)
  const command = baseBackupCommand({ label: 'salvor', major: facts.major, incremental, compressed })
  await link.run(command, receiver, () => copy.idleLimit, signal)
  await copy.endArchive()
  return copy
}

/** Where the parts of the server's answer go, and what is learnt on the way. */
class BaseBackupCopy implements BaseBackupParts, Disposable {
  readonly #env: Environment
  readonly #sink: SnapshotSink
  readonly #spool: ManifestSpool
  readonly #major: number
  readonly #compressed: boolean
  #decoder: ArchiveDecoder | null = null
  #rows: readonly Row[] = []
  #tail: ArchiveTail | null = null
  /** Bytes of the archives before the present one. */
  #before = 0
  #total: number | null = null
  #reported = 0
  start: { lsn: string; timeline: number } | null = null
  stop: { lsn: string; timeline: number } | null = null
  consistentAt: Instant | null = null

  constructor(
    env: Environment,
    sink: SnapshotSink,
    spool: ManifestSpool,
    { major, compressed }: { readonly major: number; readonly compressed: boolean },
  ) {
    this.#env = env
    this.#sink = sink
    this.#spool = spool
    this.#major = major
    this.#compressed = compressed
  }
  /** Tablespaces of their own: oid and place. */
  get ownTablespaces(): readonly Row[] {
    return this.#rows.slice(0, -1)
  }
  get idleLimit(): number {
    const { checkpoint_ms, copy_ms } = this.#env.deadlines
    return this.start === null ? checkpoint_ms : copy_ms
  }

  started(lsn: string, timeline: number): void {
    this.start = { lsn, timeline }
  }

  tablespaces(rows: readonly Row[]): void {
    tablespaceFacts(this.#env.context.source, rows.slice(0, -1))
    this.#rows = rows
    const kilobytes = rows.reduce((sum, [, , size]) => sum + Number(size ?? Number.NaN), 0)
    this.#total = Number.isFinite(kilobytes) ? kilobytes * 1024 : null
  }

  archiveBegins(row: number): Room {
    if (this.#decoder !== null) return this.endArchive().then(() => this.#beginArchive(row))
    return this.#beginArchive(row)
  }

  #beginArchive(row: number): Room {
    this.#assertWhole()
    const oid = this.#rows[row]?.[0] ?? null
    const seen = oid === null ? (header: TarHeader) => this.#member(header) : () => undefined
    this.#tail = new ArchiveTail((part) => this.#sink.write(part), seen, oid === null ? '' : `pg_tblspc/${oid}`)
    if (this.#compressed) this.#decoder = new ArchiveDecoder((part) => this.#take(part))
    return undefined
  }

  /** What the decoder still holds of the archive was handed on. */
  async endArchive(): Promise<void> {
    await this.#decoder?.end()
    this.#decoder = null
  }

  [Symbol.dispose](): void {
    this.#decoder?.[Symbol.dispose]()
  }

  #assertWhole(): void {
    if (this.#tail?.isComplete(this.#major) === false) throw cutShort()
    this.#before += this.#tail?.bytes ?? 0
  }

  /** The server sends this file last and ends the backup then: what was committed before is in the copy. */
  #member({ name }: TarHeader): void {
    if (name === 'global/pg_control') this.consistentAt = this.#env.context.now()
  }

  archive(part: Buffer): Room {
    return this.#decoder === null ? this.#take(part) : this.#decoder.write(part)
  }

  #take(part: Buffer): Room {
    const tail = this.#tail!
    const room = tail.write(part)
    if (this.#before + tail.bytes - this.#reported >= PROGRESS_EVERY) this.#report()
    return room
  }

  manifest(part: Buffer): Room {
    return this.#spool.write(part)
  }

  stopped(lsn: string, timeline: number): void {
    this.stop = { lsn, timeline }
  }

  /** Checks that everything came, and writes the last member. */
  async finish(signal: AbortSignal): Promise<void> {
    const template = this.#tail?.template ?? null
    const whole = this.#tail?.isComplete(this.#major) === true && this.start !== null && this.stop !== null
    if (!whole || template === null || this.consistentAt === null) throw cutShort()
    await this.#spool.verify(signal)
    const seconds = Number(epochMicros(this.consistentAt) / 1_000_000n)
    await this.#sink.write(headerLike(template, MANIFEST, this.#spool.size, seconds))
    for await (const chunk of this.#spool.chunks(signal)) await this.#sink.write(chunk)
    await this.#sink.write(Buffer.alloc(padded(this.#spool.size) - this.#spool.size + 2 * BLOCK))
    this.#report()
  }

  #report(): void {
    this.#reported = this.#before + (this.#tail?.bytes ?? 0)
    const total = this.#total === null ? null : Math.max(this.#total, this.#reported)
    this.#env.context.progress({ phase: 'copy', done_bytes: this.#reported, total_bytes: total })
  }
}

const cutShort = (): LinkLost => new LinkLost('the server ended the base backup before it was whole')

function snapshotFacts(
  env: Environment,
  facts: ServerFacts,
  copy: BaseBackupCopy,
  link: Link,
  own: readonly string[],
): SnapshotFacts {
  const warnings = link.notices.filter(({ severity }) => severity === 'WARNING')
  const unread = warnings.some(namesRelationFile)
  const told = [...own, ...warnings.map(({ message }) => message)]
  const notices = [...serverNotices(facts), ...told]
  return {
    source_db: sourceDb(link, facts),
    consistent_at: copy.consistentAt!,
    engine_facts: {
      system_id: facts.systemId,
      timeline: copy.stop!.timeline,
      start_lsn: copy.start!.lsn,
      stop_lsn: copy.stop!.lsn,
      server_version: facts.version,
      server_version_num: facts.versionNum,
      wal_segment_size: facts.walSegmentSize,
      data_checksums: facts.dataChecksums,
      pages_verified: facts.dataChecksums && !unread,
      consistent_at: copy.consistentAt!,
      ...tablespaceFacts(env.context.source, copy.ownTablespaces),
    },
    notices,
  }
}

/** A warning about a file that the server could not verify; its text is translated, the path in it is not. */
const namesRelationFile = ({ message }: ServerError): boolean => /(?:base|global|pg_tblspc)\/[\w/]*\d/.test(message)
