import { noSource } from '@salvor/policy/fleets'
import { recoveryWindow } from '@salvor/policy/recovery-window'
import { hasChangeSets } from '@salvor/runtime/change-facts'
import { gatherRecoveryFacts, type GatheredFacts } from '@salvor/runtime/recovery-facts'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import type { SourceSettings } from '@salvor/shared/ports/service'
import { elapsedMs, type Instant } from '@salvor/shared/vocabulary/instant'
import type { WalStreamState } from '@salvor/shared/vocabulary/wal'
import pc from 'picocolors'
import type { GlobalOptions } from '../context.ts'
import { openWithFrom, storeIn } from '../from-store.ts'
import { done, span, table, type Answer } from '../output.ts'
import { lastRecovery, recoveryLines } from '../recovery-proofs.ts'
import { changesWindow } from './changes-window.ts'

export interface WindowOptions extends GlobalOptions {
  readonly from?: string
  readonly keys?: string
}

/** `salvor window SOURCE`: the earliest and the latest instant it can be recovered to, and each gap, with why. */
export async function window(source: string, options: WindowOptions, signal: AbortSignal): Promise<Answer> {
  const knows = async ({ deps }: Runtime) => (await deps.catalog.backups({ source, limit: 1 })).length > 0
  await using runtime = await openWithFrom(options, options.from, { keys: options.keys }, knows, signal)
  const { deps } = runtime
  const known = deps.settings().sources.has(source) || (await deps.catalog.backups({ source, limit: 1 })).length > 0
  if (!known) throw noSource(source, deps.settings().fleets)
  if (await hasChangeSets(deps, source))
    return await changesWindow(runtime, source, storeIn(runtime, options.from) ?? null)
  const facts = await gatherRecoveryFacts(deps, source, storeIn(runtime, options.from) ?? null, signal)
  const stretches = [...recoveryWindow(facts), ...(await instantsAlone(runtime, source, facts))]
  const [gaps, now, proofs] = await Promise.all([
    deps.catalog.walGaps(source),
    deps.catalog.now(),
    deps.catalog.recoveryProofs(),
  ])
  const recovery = lastRecovery(proofs, source)
  const { stream } = facts
  const document = { source, stretches, gaps, stream, recovery, unreadable: facts.unreadable }
  const head = ['EARLIEST (UTC)', 'LATEST (UTC)', 'BACKUPS', 'TIMELINE', 'WAL UP TO'].map((word) => pc.dim(word))
  const rows = stretches.map((stretch) => [
    shown(stretch.earliest_at),
    stretch.latest_at === stretch.earliest_at ? pc.dim('this instant alone') : shown(stretch.latest_at),
    String(stretch.backups.length),
    stretch.timeline === null ? '-' : String(stretch.timeline),
    stretch.end_lsn ?? '-',
  ])
  const lines = [
    ...(rows.length === 0
      ? [pc.yellow(`${source} has no backup that can be read: salvor backup ${source}`)]
      : table([head, ...rows])),
    ...gaps.map(
      (gap) =>
        `${pc.red('gap')}  WAL from ${gap.from_lsn} to ${gap.to_lsn} is lost: ${gap.reason} ${pc.dim(`(seen ${shown(gap.detected_at)})`)}`,
    ),
    ...(stream ? [streamLine(stream, now)] : noStream(facts, deps.settings().sources.get(source), now)),
    ...recoveryLines(recovery, now),
    ...facts.unreadable.map((what) => `${pc.yellow('!')} ${what}`),
  ]
  return done(document, lines, EXIT.done)
}

/** Backups on which no WAL can ever be replayed, such as SQLite's: an instant each, the oldest first. */
async function instantsAlone({ deps }: Runtime, source: string, facts: GatheredFacts) {
  const replayed = new Set(facts.bases.map(({ backup_id }) => backup_id))
  const backups = await deps.catalog.backups({ source })
  return backups
    .filter(({ id, type, state }) => type !== 'pre_restore' && state !== 'corrupt' && !replayed.has(id))
    .map(({ id, consistent_at: at }) => ({ ...ALONE, earliest_at: at, latest_at: at, backups: [id] }))
    .toSorted((a, b) => (a.earliest_at < b.earliest_at ? -1 : 1))
}

const ALONE = { system_id: null, timeline: null, end_lsn: null }

const shown = (at: string): string => at.replace('T', ' ').replace('Z', '')

/** A stream says how it does every few seconds. */
const SILENT_MS = 60_000

function streamLine({ at, trouble, covered_until }: WalStreamState, now: Instant): string {
  const said = elapsedMs(at, now)
  if (trouble !== null) return `${pc.red('stream')}  ${trouble} ${pc.dim(`(${shown(at)})`)}`
  const covered = `everything committed until ${span(Math.max(0, elapsedMs(covered_until ?? at, now)))} ago is stored`
  if (said > SILENT_MS)
    return `${pc.yellow('stream')}  not heard of for ${span(said)}: is a backup-worker running? Then ${covered}`
  return pc.dim(`stream  ${covered} (said ${shown(at)})`)
}

function noStream({ wal }: GatheredFacts, settings: SourceSettings | undefined, now: Instant): string[] {
  const last = wal.reduce<Instant | null>((a, { stored_at }) => (a !== null && a > stored_at ? a : stored_at), null)
  if (last !== null)
    return [`no stream: the last piece of WAL was stored ${span(Math.max(0, elapsedMs(last, now)))} ago`]
  if (settings?.streams !== 'wal') return []
  return [pc.yellow('no WAL is stored: these instants alone come back (schedule: { wal: stream })')]
}
