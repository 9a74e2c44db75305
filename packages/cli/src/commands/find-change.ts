import { createHash } from 'node:crypto'
import { type AskedPoint, askRestorePoint } from '@salvor/runtime/ask-restore-point'
import type { Runtime } from '@salvor/runtime/open-runtime'
import type { ErrorCode } from '@salvor/shared/errors/codes'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Failure } from '@salvor/shared/vocabulary/run'
import pc from 'picocolors'
import { durationMs } from '@salvor/shared/vocabulary/amounts'
import { bisect, type Change, type Sight } from '../bisect.ts'
import { knowsPointIn } from '../choose-point.ts'
import type { GlobalOptions } from '../context.ts'
import { openWithFrom, storeIn } from '../from-store.ts'
import { done, table, type Answer } from '../output.ts'
import { pointsBetween, spanTyped } from '../points-between.ts'
import { collect, type QueryResult, shown } from '../query-output.ts'
import { recoveryInstants } from '../recovery-instants.ts'
import { refine } from '../refine-change.ts'
import { typed } from './open.ts'

export interface FindChangeOptions extends GlobalOptions {
  readonly sql: string
  readonly since?: string
  readonly until?: string
  readonly from?: string
  readonly keys?: string
  readonly every: boolean
  /** How near two instants are to come where WAL is replayed. */
  readonly resolution: string
}

/** What the question gave at a point, or why it could not be answered there: a table that is not there yet is an answer, too. */
type Given = { readonly results: readonly QueryResult[] } | { readonly failed: string }
type Seen = Sight<AskedPoint, Given>

/** `salvor find-change SOURCE --sql …`: the answers go to whoever asked, and nowhere else. */
export async function findChange(source: string, options: FindChangeOptions, signal: AbortSignal): Promise<Answer> {
  const knows = (known: Runtime) => knowsPointIn(known, source, options.from)
  await using runtime = await openWithFrom(options, options.from, { keys: options.keys }, knows, signal)
  const store = storeIn(runtime, options.from) ?? null
  const resolutionMs = resolutionOf(options)
  const within = spanTyped(runtime, options)
  const instants = await recoveryInstants(runtime, source, store, signal, within)
  const wanted = { ...within, every: options.every }
  const { points, left_out } = await pointsBetween(runtime, source, wanted, instants)
  const question: Question = { source, sql: await typed(options.sql), store, quiet: options.json }
  await runtime.deps.catalog.transaction({ service: 'cli' }, (tx) =>
    tx.audit({ actor: 'cli', action: 'find-change', object: source, outcome: 'read' }),
  )
  const unreadable: { backup: string; error: Failure }[] = []
  let first: SalvorError | null = null
  let looked_at = 0
  let latest: { readonly state: string; readonly seen: Seen } | null = null
  const look = async (point: AskedPoint): Promise<Seen | null> => {
    const state = stateOf(point)
    try {
      const known = state !== null && latest?.state === state ? { ...latest.seen, point } : null
      const seen = known ?? (await sightOf(runtime, question, point, signal))
      if (state !== null) latest = { state, seen }
      looked_at += 1
      return seen
    } catch (thrown) {
      const error = asSalvorError(thrown)
      if (!ABOUT_THIS_COPY.has(error.code)) throw error
      first ??= error
      unreadable.push({ backup: point.backup_id, error: error.toFailure() })
      return null
    }
  }
  const found = await bisect(points, look, options.every)
  if (!found) throw first ?? fewPoints(source, points.length)
  const everywhere = found.changes.length === 0 && 'failed' in found.first.answer ? found.first.answer.failed : null
  if (everywhere !== null) throw new SalvorError('QUERY_FAILED', { source, reason: everywhere })
  const changes: Change<AskedPoint, Given>[] = []
  const isWhole = options.every && instants?.counted != null && left_out === 0
  for (const rough of found.changes) {
    if (!instants || isWhole) changes.push(rough)
    else changes.push(...(await refine(rough, instants, look, { resolutionMs, every: options.every })))
  }
  return answerOf(question, options, { ...found, changes, looked_at, points: points.length, left_out }, unreadable)
}

interface Found {
  readonly changes: readonly Change<AskedPoint, Given>[]
  readonly first: Seen
  readonly last: Seen
  readonly looked_at: number
  /** Among which it was looked, instants between them not counted. */
  readonly points: number
  /** Instants that `--every` left out because they are too many. */
  readonly left_out: number
}

function resolutionOf({ resolution }: FindChangeOptions): number {
  try {
    return durationMs(resolution)
  } catch {
    const reason = `--resolution ${JSON.stringify(resolution)} is no duration, such as 1s or 5m`
    throw new SalvorError('USAGE', { reason, command: 'find-change' })
  }
}

interface Question {
  readonly source: string
  readonly sql: string
  readonly store: string | null
  readonly quiet: boolean
}

const ABOUT_THIS_COPY: ReadonlySet<ErrorCode> = new Set([
  'ARTIFACT_CORRUPT',
  'KEY_MISSING',
  'MANIFEST_INVALID',
  'NO_GOOD_COPY',
  'RESTORE_FAILED',
  'SIGNER_UNKNOWN',
  'STORE_NOT_FOUND',
  'STORE_TRUNCATED',
])

/** Two points of one name have the same content. Null: replayed, which takes an instant by itself. */
function stateOf({ backup_id, recovery, changes }: AskedPoint): string | null {
  return recovery ? null : `${backup_id} ${changes?.sets.at(-1)?.document_sha256 ?? ''}`
}

function fewPoints(source: string, count: number): SalvorError {
  const reason = `${count === 0 ? 'no restore point' : 'one restore point'} in that time: two are needed to compare`
  return new SalvorError('NOTHING_TO_COMPARE', { source, reason })
}

async function sightOf(runtime: Runtime, question: Question, point: AskedPoint, signal: AbortSignal): Promise<Seen> {
  const { source, sql, store, quiet } = question
  if (!quiet) process.stderr.write(pc.dim(`looking at ${point.at}\n`))
  const answer = await given()
  return { point, answer, digest: createHash('sha256').update(JSON.stringify(answer)).digest('hex') }

  async function given(): Promise<Given> {
    try {
      return { results: await collect(askRestorePoint(runtime, point, sql, store, signal), source) }
    } catch (error) {
      if (error instanceof SalvorError && error.code === 'QUERY_FAILED')
        return { failed: error.facts['reason'] ?? error.message.replace(`${source}: `, '') }
      throw error
    }
  }
}

function answerOf(
  { source, store }: Question,
  { from, every }: FindChangeOptions,
  found: Found,
  unreadable: readonly { readonly backup: string; readonly error: Failure }[],
): Answer {
  const restore = ({ backup_id, at, recovery, changes }: AskedPoint): string => {
    const which = (recovery ?? changes) ? `--at ${at}` : `--backup ${backup_id}`
    return `salvor restore ${source} ${which}${from === undefined ? '' : ` --from ${from}`} --to NEW_PLACE`
  }
  const looked =
    found.looked_at > found.points
      ? `looked at ${found.looked_at} states: of ${found.points} restore points and of instants between them`
      : `looked at ${found.looked_at} of ${found.points} restore points`
  const lines = [
    ...found.changes.flatMap((change) => changeLines(source, change, restore(change.before.point))),
    ...(found.changes.length > 0 ? [] : sameLines(source, found)),
    pc.dim(every ? (found.left_out === 0 ? looked : `${looked}; ${leftOut(found.left_out)}`) : `${looked}; ${MISSED}`),
    ...unreadable.map(({ backup, error }) => `${pc.yellow('!')} ${backup} was passed over: ${error.message}`),
  ]
  const document = {
    source,
    store,
    changed: found.changes.length > 0,
    changes: found.changes.map(({ before, after }) => ({
      before: sight(before),
      after: sight(after),
      restore: restore(before.point),
    })),
    first: sight(found.first),
    last: sight(found.last),
    looked_at: found.looked_at,
    restore_points: found.points,
    every,
    instants_left_out: found.left_out,
    unreadable,
  }
  return done(document, lines)
}

const leftOut = (instants: number): string =>
  `among ${instants} instants of change sets only where the answer differs: narrow the time with --since and --until to look at each`
const MISSED = 'further changes, and those that were undone in between, are found by --every only'

function sight({ point, answer }: Seen): object {
  return { at: point.at, backup: point.backup_id, ...answer }
}

function changeLines(source: string, { before, after }: Change<AskedPoint, Given>, restore: string): string[] {
  return [
    `${source}: the answer changed between`,
    ...table([before, after].map(({ point, answer }) => [`  ${point.at}`, point.backup_id, brief(answer)])),
    'the last state before it comes back with',
    `  ${restore}`,
  ]
}

function sameLines(source: string, { first, last }: Found): string[] {
  return [`${source}: the same answer at ${first.point.at} and at ${last.point.at}: ${brief(first.answer)}`]
}

/** An answer in a line: the value, if it is one. */
function brief(answer: Given): string {
  if ('failed' in answer) return shown(answer.failed)
  const rows = answer.results.flatMap((result) => result.rows)
  const [row] = rows
  if (rows.length === 1 && row)
    return row
      .map((value) => shown(typeof value === 'object' && value !== null ? JSON.stringify(value) : (value as string)))
      .join('  ')
  return `${rows.length} rows`
}
