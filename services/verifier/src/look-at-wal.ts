import { provingBase } from '@salvor/policy/recovery-proof'
import { gapsLeft, type FaultyWal } from '@salvor/policy/wal-faults'
import type { GatheredFacts } from '@salvor/runtime/recovery-facts'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { NewEvent } from '@salvor/shared/messages/events'
import type { Commit, Deps } from '@salvor/shared/ports/service'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import type { StoredWal } from '@salvor/shared/vocabulary/wal'
import type { About, Beside } from './beside.ts'

/**
 * Looks at the WAL of a source in every store: all that the catalog knows must be there, and what came since the backup before
 * this one must open. The catalog forgets a faulty copy, so that no recovery counts on it; nothing is moved or deleted.
 */
export async function lookAtWal(
  deps: Deps,
  facts: GatheredFacts,
  about: About,
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<Beside> {
  const { source, backup_id } = about
  const since = lsnValue(provingBase(facts, backup_id)?.start_lsn ?? '0/0')
  const byStore = await storedIn(deps, source)
  const checks: Check[] = []
  const faults: (FaultyWal & { readonly missing: boolean })[] = []
  for (const [store, pieces] of byStore) {
    const asked = pieces.map(({ name, document_sha256, end_lsn }) => ({
      name,
      document_sha256,
      decode: end_lsn === null || lsnValue(end_lsn) > since,
    }))
    const began = deps.clock.monotonicMs()
    const add = (ok: boolean, detail: string): void => {
      const duration_ms = Math.round(deps.clock.monotonicMs() - began)
      checks.push({ name: `WAL in ${store}`, ok, detail, duration_ms })
    }
    try {
      const seen = await deps.tasks.run('inspect-wal', { source, store, pieces: asked }, progress, signal)
      for (const { name, missing, reason } of seen.faults)
        faults.push({ piece: pieces.find((piece) => piece.name === name)!, missing, reason })
      const [bad] = seen.faults
      if (!bad) add(true, `${pieces.length} pieces are there, ${seen.decoded} of them decoded`)
      else
        add(
          false,
          `${seen.faults.length} of ${pieces.length} pieces are missing or damaged, the first ${bad.name}: ${bad.reason}`,
        )
    } catch (thrown) {
      signal.throwIfAborted()
      // A store that does not answer says nothing about its WAL, and the backup was looked at.
      const { code, message } = asSalvorError(thrown)
      deps.log.warn({ source, store, code }, 'WAL could not be looked at')
      add(true, `not looked at: ${message}`)
    }
  }
  return { checks, ...toTell(deps, byStore, faults, about, facts) }
}

async function storedIn(deps: Deps, source: string): Promise<ReadonlyMap<string, StoredWal[]>> {
  const byStore = new Map<string, StoredWal[]>()
  // Tails come and go with every segment.
  for await (const piece of deps.catalog.wal({ source, kinds: ['segment', 'history'] })) {
    if (!deps.settings().stores.has(piece.store)) continue
    const there = byStore.get(piece.store) ?? []
    there.push(piece)
    byStore.set(piece.store, there)
  }
  return byStore
}

function toTell(
  deps: Deps,
  byStore: ReadonlyMap<string, readonly StoredWal[]>,
  faults: readonly (FaultyWal & { readonly missing: boolean })[],
  { source, backup_id }: About,
  { bases }: GatheredFacts,
): Omit<Beside, 'checks'> {
  const faulty = new Set(faults.map(({ piece }) => `${piece.store} ${piece.name}`))
  const good = [...byStore.values()].flat().filter(({ store, name }) => !faulty.has(`${store} ${name}`))
  const elsewhere = new Set(good.map(({ name }) => name))
  const gaps = gapsLeft(faults, elsewhere)
  const events: NewEvent[] = [...Map.groupBy(faults, ({ piece }) => piece.store)].map(([store, some]) => {
    const first = some[0]!
    const error = new SalvorError('WAL_DAMAGED', {
      source,
      store,
      count: String(some.length),
      first: first.piece.name,
      reason: first.reason,
    })
    const data = {
      source,
      backup_id,
      store,
      what: 'verify',
      failures: 1,
      final: true,
      error: error.toFailure(),
    } as const
    return { type: 'copy.failed', subject: backup_id, data }
  })
  for (const { system_id: _, ...data } of gaps) events.push({ type: 'wal-gap.detected', subject: source, data })
  // Without a backup behind a gap no recovery comes to what is stored there.
  const uncovered = gaps.find((gap) => bases.every(({ start_lsn }) => lsnValue(start_lsn) < lsnValue(gap.to_lsn)))
  const commit: Commit = async (tx) => {
    for (const [store, some] of Map.groupBy(faults, ({ piece }) => piece.store))
      await tx.forgetWal(
        source,
        store,
        some.map(({ piece }) => piece.name),
      )
    for (const gap of gaps) await tx.recordWalGap(gap)
    const again = faults.filter(({ piece, missing }) => missing && elsewhere.has(piece.name))
    for (const { piece } of again) {
      const unique_key = `replicate-again/${backup_id}/${piece.store}/${piece.name}`
      await tx.enqueue({ job: 'replicate-wal', source, params: { source, name: piece.name }, unique_key })
    }
    const settings = deps.settings().sources.get(source)
    if (!uncovered || !settings) return
    const { pool, config_hash } = settings
    const params = { source, type: 'full', retention_class: 'full', trigger: 'first', scheduled_for: null } as const
    const unique_key = `after-gap/${source}/${uncovered.system_id}/${uncovered.timeline}/${uncovered.from_lsn}/${uncovered.to_lsn}`
    await tx.enqueue({ job: 'take-backup', source, pool, config_hash, unique_key, params })
  }
  return { events, commit }
}
