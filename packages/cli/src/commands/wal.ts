import { EXIT } from '@salvor/shared/errors/exit-codes'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import pc from 'picocolors'
import { openForCommand, type GlobalOptions } from '../context.ts'
import { bytes, done, span, table, type Answer } from '../output.ts'

/** `salvor wal status`: how each stream is doing. */
export async function walStatus(options: GlobalOptions): Promise<Answer> {
  await using runtime = await openForCommand(options)
  const { catalog } = runtime.deps
  const [streams, now] = await Promise.all([catalog.walStreams(), catalog.now()])
  const head = ['SOURCE', 'STORED UP TO', 'SERVER AT', 'TIMELINE', 'COVERED UNTIL', 'SPOOL', 'SAID', 'TROUBLE']
  const rows = streams.map((stream) => [
    stream.source,
    stream.stored_lsn,
    stream.server_lsn,
    String(stream.timeline),
    stream.covered_until === null ? '-' : `${span(Math.max(0, elapsedMs(stream.covered_until, now)))} ago`,
    bytes(stream.spool_bytes),
    `${span(Math.max(0, elapsedMs(stream.at, now)))} ago`,
    stream.trouble === null ? '-' : pc.red(stream.trouble),
  ])
  const lines = rows.length === 0 ? ['no WAL is streamed'] : table([head.map((word) => pc.dim(word)), ...rows])
  return done({ streams }, lines, EXIT.done)
}
