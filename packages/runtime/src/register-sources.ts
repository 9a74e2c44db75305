import { believedGone, fleetOf } from '@salvor/policy/fleets'
import { nextTick } from '@salvor/policy/schedule'
import type { CatalogTransaction } from '@salvor/shared/ports/catalog'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import { ScheduledKinds, type TickKind } from '@salvor/shared/vocabulary/source'

/**
 * Brings the catalog's sources and schedules to what the configuration says: new ones are announced, those gone from the
 * file become retired (kept, no longer backed up), and files that are gone are told of. Safe to repeat; whoever starts first does it.
 */
export async function registerSources(deps: Deps, cause: 'scheduler' | 'cli'): Promise<void> {
  const { sources, fleets, timezone } = deps.settings()
  const active = (await deps.catalog.sources()).filter(({ state }) => state === 'active')
  const missing = active.map(({ name }) => name).filter((name) => !sources.has(name))
  // A command may see less of a folder than the services do.
  const gone = believedGone(missing, fleets).filter((name) => cause === 'scheduler' || fleetOf(name, fleets) === null)
  const kept = missing.filter((name) => !gone.includes(name))
  await deps.catalog.transaction({ service: cause }, async (tx) => {
    for (const source of sources.values()) await registerSource(tx, source, timezone)
    for (const name of await tx.retireSourcesExcept([...sources.keys(), ...kept])) {
      await tx.audit({ actor: cause, action: 'source.retired', object: name, outcome: 'kept, no longer backed up' })
      if (fleetOf(name, fleets) === null) continue
      await tx.publish({ type: 'source.vanished', subject: name, data: { source: name } })
    }
  })
}

async function registerSource(tx: CatalogTransaction, source: SourceSettings, timezone: string): Promise<void> {
  const { name, engine, pool, config_hash } = source
  const change = await tx.registerSource({ name, engine, pool, config_hash })
  if (change !== 'same') {
    await tx.audit({ actor: 'config', action: 'source.registered', object: name, outcome: change })
  }
  if (change === 'new') await tx.publish({ type: 'source.registered', subject: name, data: { source: name } })
  const ticks: Readonly<Partial<Record<TickKind, string>>> = {
    ...source.schedule,
    ...(source.prove_recovery !== undefined && { recovery: source.prove_recovery }),
  }
  const schedules = [...ScheduledKinds, 'recovery' as const].flatMap((kind) => {
    const cron = ticks[kind]
    const due_at = cron === undefined ? null : nextTick(cron, timezone, tx.now)
    return cron === undefined || due_at === null ? [] : [{ kind, cron, timezone, due_at }]
  })
  await tx.setSchedules(name, schedules)
}
