import type { FleetSettings } from '@salvor/shared/ports/service'

type Fleets = ReadonlyMap<string, FleetSettings> | undefined

/** The source of the configuration whose `paths` may give a source of this name; null: none may. */
export function fleetOf(source: string, fleets: Fleets): string | null {
  const cut = source.indexOf('/')
  const name = source.slice(0, Math.max(0, cut))
  return fleets?.has(name) ? name : null
}

/**
 * Of sources that no file stands for any more, those that count as gone. Not believed: a place that cannot be looked at, and a source
 * of which nothing at all is left, since a disk that is not mounted looks like that. What is not believed stays due, and fails loudly.
 */
export function believedGone(missing: readonly string[], fleets: Fleets): readonly string[] {
  return missing.filter((source) => {
    const fleet = fleets?.get(fleetOf(source, fleets) ?? '')
    return !fleet || (fleet.unread === null && fleet.found > 0)
  })
}
