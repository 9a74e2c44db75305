import { SalvorError } from '@salvor/shared/errors/salvor-error'
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

/** Why the configuration has no source of this name now. */
export function noSource(source: string, fleets: Fleets): SalvorError {
  const name = fleetOf(source, fleets)
  const fleet = fleets?.get(name ?? source)
  if (name === null && fleet?.unread === null) {
    const reason = `${source} stands for ${fleet.found} files, each a source of its own: name one of those that salvor status lists`
    return new SalvorError('USAGE', { reason, command: 'status' })
  }
  if (!fleet || (fleet.unread === null && fleet.found > 0)) return new SalvorError('SOURCE_UNKNOWN', { source })
  const reason = fleet.unread ?? 'not one file is there'
  return new SalvorError('SOURCE_UNREADABLE', { source, what: `its file, by \`paths\` of ${name ?? source},`, reason })
}
