import { Gauge, type Registry } from 'prom-client'
import { JOBS, type JobName } from '@salvor/shared/messages/jobs'
import type { Catalog, ScheduleRow } from '@salvor/shared/ports/catalog'
import type { CatalogFigures } from '@salvor/shared/ports/catalog-figures'
import { elapsedMs, epochMicros, type Instant } from '@salvor/shared/vocabulary/instant'
import { COPY_STATES } from '@salvor/shared/vocabulary/backup'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import { SERVICES } from '@salvor/shared/vocabulary/service'
import type { ChangeStreamState } from '@salvor/shared/vocabulary/change-set'
import type { RecoveryProof } from '@salvor/shared/vocabulary/verification'
import type { WalStreamState } from '@salvor/shared/vocabulary/wal'

/** Scrapes within so long share one look at the catalog. */
const FRESH_MS = 5000
const WAITING = ['queued', 'running', 'dead'] as const
/** The schedule of a cron expression that names no day any more. */
const NEVER = '9999'

interface Look {
  readonly figures: CatalogFigures
  readonly schedules: readonly ScheduleRow[]
  readonly streams: readonly WalStreamState[]
  readonly changes: readonly ChangeStreamState[]
  readonly proofs: readonly RecoveryProof[]
}

/**
 * What the catalog says about every source and store: the same in each service, so that one scraped process is enough.
 * While the catalog does not answer, the series are missing rather than old.
 */
export function catalogMetrics(registers: Registry[], catalog: Catalog, soon: Soon): void {
  const look = remembered(() => soon(lookAt(catalog)))
  const series = (name: string, help: string, labelNames: readonly string[], values: (look: Look) => Values): void => {
    // The registry keeps it.
    void new Gauge({
      registers,
      name: `salvor_${name}`,
      help,
      labelNames,
      async collect() {
        const seen = await look()
        this.reset()
        for (const [labels, value] of seen === null ? [] : values(seen)) this.set(labels, value)
      },
    })
  }
  sourceSeries(series)
  walSeries(series)
  changeSeries(series)
  storeSeries(series)
  deliverySeries(series)
}

type Soon = <T>(work: Promise<T>) => Promise<T | null>
type Values = Iterable<readonly [Record<string, string>, number]>
type Series = (name: string, help: string, labels: readonly string[], values: (look: Look) => Values) => void

function sourceSeries(series: Series): void {
  series(
    'recovery_point_timestamp_seconds',
    'Instant of the newest backup that is at least so good (state completed, verified or proven)',
    ['source', 'state'],
    ({ figures }) =>
      figures.points.flatMap(({ source, ...states }) =>
        Object.entries(states).flatMap(([state, at]) =>
          at === null ? [] : [[{ source, state }, seconds(at)] as const],
        ),
      ),
  )
  series(
    'verification_last_success_timestamp_seconds',
    'When a copy of a source was last found good at this level',
    ['source', 'level'],
    ({ figures }) => figures.verified.map(({ source, level, at }) => [{ source, level }, seconds(at)] as const),
  )
  series(
    'recovery_last_success_timestamp_seconds',
    'When a source was last recovered to an instant in the sandbox',
    ['source'],
    ({ proofs }) =>
      proofs.flatMap(({ ok, source, started_at }) => (ok ? [[{ source }, seconds(started_at)] as const] : [])),
  )
  const ofLast = (name: string, help: string, value: (last: CatalogFigures['last'][number]) => number): void =>
    series(`backup_last_${name}`, help, ['source', 'type'], ({ figures }) =>
      figures.last.map((last) => [{ source: last.source, type: last.type }, value(last)] as const),
    )
  ofLast('size_bytes', 'Stored bytes of the newest backup', ({ size_bytes }) => size_bytes)
  ofLast('source_size_bytes', 'Bytes of the source that it holds', ({ source_bytes }) => source_bytes)
  ofLast('duration_seconds', 'How long it took', ({ duration_ms }) => duration_ms / 1000)
  series('schedule_next_timestamp_seconds', 'Next tick of a schedule', ['source', 'kind'], ({ schedules }) =>
    schedules
      .filter(({ due_at }) => !due_at.startsWith(NEVER))
      .map(({ source, kind, due_at }) => [{ source, kind }, seconds(due_at)] as const),
  )
}

function walSeries(series: Series): void {
  const of = (name: string, help: string, value: (stream: WalStreamState) => number | null): void =>
    series(`wal_${name}`, help, ['source'], ({ streams }) =>
      streams.flatMap((stream) => {
        const seen = value(stream)
        return seen === null ? [] : [[{ source: stream.source }, seen] as const]
      }),
    )
  of('covered_timestamp_seconds', 'Everything committed until then is in a store', ({ covered_until }) =>
    covered_until === null ? null : seconds(covered_until),
  )
  of('said_timestamp_seconds', 'When the stream of WAL was last heard of', ({ at }) => seconds(at))
  of('behind_bytes', 'WAL of the server that is in no store yet', ({ server_lsn, stored_lsn }) =>
    Math.max(0, Number(lsnValue(server_lsn) - lsnValue(stored_lsn))),
  )
  of('spool_bytes', 'WAL that waits on the worker for a store', ({ spool_bytes }) => spool_bytes)
  of('trouble', '1: nothing is stored at the moment', ({ trouble }) => (trouble === null ? 0 : 1))
}

function changeSeries(series: Series): void {
  const of = (name: string, help: string, value: (stream: ChangeStreamState) => number | null): void =>
    series(`changes_${name}`, help, ['source'], ({ changes }) =>
      changes.flatMap((stream) => {
        const seen = value(stream)
        return seen === null ? [] : [[{ source: stream.source }, seen] as const]
      }),
    )
  of('covered_timestamp_seconds', 'Everything committed until then is in a store', ({ covered_until }) =>
    covered_until === null ? null : seconds(covered_until),
  )
  of('said_timestamp_seconds', 'When the change stream was last heard of', ({ at }) => seconds(at))
  of('log_bytes', 'Write-ahead log of the database that is followed', ({ log_bytes }) => log_bytes)
  of('trouble', '1: nothing is stored at the moment', ({ trouble }) => (trouble === null ? 0 : 1))
}

function storeSeries(series: Series): void {
  const stores = (figures: CatalogFigures) => [...new Set(figures.copies.map(({ store }) => store))]
  // Every state, so that an alarm on `corrupt` sees a zero and not a gap.
  series('copies', 'Copies of backups', ['store', 'state'], ({ figures }) =>
    stores(figures).flatMap((store) =>
      COPY_STATES.map((state) => {
        const found = figures.copies.find((copies) => copies.store === store && copies.state === state)
        return [{ store, state }, found?.count ?? 0] as const
      }),
    ),
  )
  series('copies_size_bytes', 'Bytes of the artifacts that lie in a store', ['store'], ({ figures }) =>
    stores(figures).map((store) => {
      const there = figures.copies.filter((copies) => copies.store === store && copies.state !== 'pending')
      return [{ store }, there.reduce((sum, { bytes }) => sum + bytes, 0)] as const
    }),
  )
}

function deliverySeries(series: Series): void {
  series('runs', 'Runs that are queued, running, or wait for a person (dead)', ['job', 'state'], ({ figures }) =>
    (Object.keys(JOBS) as JobName[]).flatMap((job) =>
      WAITING.map((state) => {
        const found = figures.runs.find((runs) => runs.job === job && runs.state === state)
        return [{ job, state }, found?.count ?? 0] as const
      }),
    ),
  )
  const waiting = ({ undelivered }: CatalogFigures, service: string) =>
    undelivered.find((row) => row.service === service)
  series('events_undelivered', 'Events that a service has not handled yet', ['service'], ({ figures }) =>
    SERVICES.map((service) => [{ service }, waiting(figures, service)?.count ?? 0] as const),
  )
  series('event_delivery_lag_seconds', 'Age of the oldest of them', ['service'], ({ figures }) =>
    SERVICES.map((service) => {
      const oldest = waiting(figures, service)?.oldest
      return [{ service }, oldest === undefined ? 0 : Math.max(0, elapsedMs(oldest, figures.at) / 1000)] as const
    }),
  )
  series('incidents_open', 'Incidents that are open', [], ({ figures }) => [[{}, figures.open_incidents] as const])
}

async function lookAt(catalog: Catalog): Promise<Look> {
  const [figures, schedules, streams, changes, proofs] = await Promise.all([
    catalog.figures(),
    catalog.schedules(),
    catalog.walStreams(),
    catalog.changeStreams(),
    catalog.recoveryProofs(),
  ])
  return { figures, schedules, streams, changes, proofs }
}

/** Who asks while a look is under way waits for it, too. */
function remembered<T>(look: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly seen: Promise<T> } | null = null
  return () => {
    const now = performance.now()
    if (last === null || now - last.at > FRESH_MS) last = { at: now, seen: look() }
    return last.seen
  }
}

function seconds(instant: Instant): number {
  return Number(epochMicros(instant)) / 1e6
}
