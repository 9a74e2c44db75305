import type { Runtime } from '@salvor/runtime/open-runtime'
import { newestStateFirst } from '@salvor/policy/chain'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { elapsedMs, type Instant } from '@salvor/shared/vocabulary/instant'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import pc from 'picocolors'
import { openForCommand, type GlobalOptions } from '../context.ts'
import { lastRecovery, recoveryWord } from '../recovery-proofs.ts'
import { done, span, stateWord, table, type Answer } from '../output.ts'

/** Enough to find the newest proven one even where proofs lag. */
const LOOKED_AT = 200

/** `salvor status`: one row per source: what came last, what was proven last, what comes next, what is wrong. */
export async function status(options: GlobalOptions): Promise<Answer> {
  await using runtime = await openForCommand(options)
  const { catalog } = runtime.deps
  const [now, schedules, incidents, leases, proofs] = await Promise.all([
    catalog.now(),
    catalog.schedules(),
    catalog.openIncidents(),
    catalog.leases('service:'),
    catalog.recoveryProofs(),
  ])
  const sources = await Promise.all(
    [...runtime.deps.settings().sources.keys()].map(async (source) => {
      const next = schedules.filter((s) => s.source === source).map((s) => s.due_at)
      const open = incidents
        .filter((i) => i.source === source)
        .map((i) => ({ key: i.key, opened_at: i.opened_at, title: i.title }))
      return {
        ...(await facts(runtime, source, now)),
        recovery: lastRecovery(proofs, source),
        next_run: next.toSorted()[0] ?? null,
        incidents: open,
      }
    }),
  )
  const services = [...new Set(leases.map((lease) => lease.holder.service))].toSorted()
  const head = [
    'SOURCE',
    'STATE',
    'RECOVERY POINT AGE',
    'LAST PROVEN',
    'RESTORE TOOK',
    'INSTANT PROVEN',
    'NEXT RUN (UTC)',
    'INCIDENTS',
  ].map((w) => pc.dim(w))
  const rows = sources.map((s) => [
    s.source,
    stateWord(s.state),
    s.rpo_seconds === null ? 'never' : span(s.rpo_seconds * 1000),
    s.last_proven === null ? pc.yellow('never') : `${span(elapsedMs(s.last_proven, now))} ago`,
    s.rto_seconds === null ? '-' : span(s.rto_seconds * 1000),
    s.wal || s.changes || s.recovery ? recoveryWord(s.recovery, now) : '-',
    s.next_run?.slice(0, 19).replace('T', ' ') ?? '-',
    s.incidents.length === 0 ? '-' : pc.red(s.incidents.map((i) => i.title).join('; ')),
  ])
  const running =
    services.length > 0 ? `running: ${services.join(', ')}` : pc.yellow('no service is running: salvor up')
  return done({ sources, services }, [...table([head, ...rows]), running], EXIT.done)
}

/** `state`: how good the newest backup is; `rpo_seconds`: age of the newest good recovery point, streamed WAL and change sets included; `rto_seconds`: the last measured restore. */
async function facts(runtime: Runtime, source: string, now: Instant) {
  const { catalog } = runtime.deps
  const newest = await catalog.backups({ source, limit: LOOKED_AT })
  const backups = newestStateFirst(newest.filter((b) => b.type !== 'pre_restore'))
  const good = backups.find((backup) => backup.state !== 'corrupt')
  const proven = backups.find((backup) => backup.state === 'proven')
  const stream = (await catalog.walStreams()).find((one) => one.source === source) ?? null
  const changes = (await catalog.changeStreams()).find((one) => one.source === source) ?? null
  // WAL and change sets are worth something on a backup alone.
  const covered = (good && (stream?.covered_until ?? changes?.covered_until)) ?? null
  const point = good && (covered !== null && covered > good.consistent_at ? covered : good.consistent_at)
  return {
    source,
    state: backups[0]?.state ?? 'none',
    last_completed: good?.timestamp ?? null,
    last_proven: proven?.timestamp ?? null,
    rpo_seconds: point ? Math.round(Math.max(0, elapsedMs(point, now)) / 1000) : null,
    changes: changes && { covered_until: changes.covered_until, at: changes.at, trouble: changes.trouble },
    wal: stream && { covered_until: stream.covered_until, at: stream.at, trouble: stream.trouble },
    rto_seconds: proven ? await restoreSeconds(runtime, proven) : null,
  }
}

async function restoreSeconds(runtime: Runtime, backup: BackupWithCopies): Promise<number | null> {
  const proofs = (await runtime.deps.catalog.verifications(backup.id)).filter((v) => v.level === 'restore' && v.ok)
  const last = proofs.toSorted((a, b) => (a.started_at < b.started_at ? 1 : -1))[0]
  return last ? Math.round(last.duration_ms / 100) / 10 : null
}
