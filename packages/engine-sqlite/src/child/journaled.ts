import { coded, type Report, type RequestOf } from './messages.ts'
import { factsOf, identityOf, type OpenSource } from './open-source.ts'
import { untilFree } from './until-free.ts'
import type { Line } from './line.ts'

/**
 * Rollback journal: whoever reads keeps writers from committing, so nothing is held unless the parent asks for it, and
 * every hold is measured. A journal that a crash left behind is played back by SQLite at the first read.
 */
export async function followJournaled(request: RequestOf<'hold'>, source: OpenSource, line: Line): Promise<Report> {
  const database = source.connect(request.lock_wait_ms)
  const begin = database.prepare('BEGIN')
  const end = database.prepare('ROLLBACK')
  const read = untilFree(() => database.prepare('SELECT count(*) FROM sqlite_schema'), request.lock_wait_ms)
  let held = process.hrtime.bigint()
  const share = () => {
    begin.run()
    untilFree(() => read.get(), request.lock_wait_ms)
    held = process.hrtime.bigint()
    const facts = factsOf(database)
    // In WAL mode this lock would not keep anybody from writing.
    if (facts.journal_mode === 'wal') throw coded('EREPLACED', 'switched to WAL mode meanwhile')
    return { facts, at: held }
  }
  const free = (): number => {
    end.run()
    return Number(process.hrtime.bigint() - held) / 1e6
  }
  const seen = share()
  free()
  const now = identityOf(request.path)
  if (now.ino !== source.file.ino || now.dev !== source.file.dev)
    throw coded('EREPLACED', 'replaced while it was opened')
  line.report({ report: 'journaled', ...seen, file: source.file })
  for (;;) {
    const { command } = await line.next()
    if (command === 'release') return { report: 'released', lock_ms: 0 }
    if (command === 'share') line.report({ report: 'shared', ...share() })
    if (command === 'free') line.report({ report: 'freed', lock_ms: free() })
  }
}
