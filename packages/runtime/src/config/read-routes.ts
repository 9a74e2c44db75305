import { EVENTS } from '@salvor/shared/messages/events'
import type { Route } from '@salvor/shared/ports/service'
import { Route as RouteSchema } from './file-schema.ts'
import { LATER_EVENTS } from './later-keys.ts'
import { suggestion } from './nearest.ts'
import { parseSection } from './parse-section.ts'
import type { KeyPath } from './problems.ts'
import type { YamlTree } from './yaml-tree.ts'

const ROUTES: KeyPath = ['notify', 'routes']

/** `notify.routes`; where none is written every channel hears what a person should know. */
export function readRoutes(value: unknown, channels: readonly string[], tree: YamlTree): readonly Route[] {
  if (value === undefined || value === null) {
    return channels.length === 0 ? [] : [{ events: null, severity: null, to: channels }]
  }
  if (!Array.isArray(value)) {
    tree.problems.add(ROUTES, 'not a list', 'write `routes: [ { events: [backup.failed], to: [CHANNEL] } ]`')
    return []
  }
  return value.flatMap((raw, i) => {
    const path = [...ROUTES, i]
    const route = parseSection(RouteSchema, raw, path, tree)
    if (!route) return []
    for (const [n, event] of (route.events ?? []).entries()) checkEvent(event, [...path, 'events', n], tree)
    for (const [n, channel] of route.to.entries()) {
      if (channels.includes(channel)) continue
      const fix = suggestion(channel, channels, 'name a channel under `notify`')
      tree.problems.add([...path, 'to', n], `no channel is called ${JSON.stringify(channel)}`, fix)
    }
    return [{ events: route.events ?? null, severity: route.severity ?? null, to: route.to }]
  })
}

function checkEvent(event: string, path: KeyPath, tree: YamlTree): void {
  const known = Object.keys(EVENTS)
  const matches = (names: readonly string[]): boolean =>
    names.some((name) => (event.endsWith('.*') ? name.startsWith(event.slice(0, -1)) : name === event))
  if (event === '*' || matches(known)) return
  if (matches(LATER_EVENTS)) tree.problems.add(path, `the event ${event} is not available yet`, 'remove it')
  else tree.problems.add(path, `no event is called ${JSON.stringify(event)}`, suggestion(event, known, 'remove it'))
}
