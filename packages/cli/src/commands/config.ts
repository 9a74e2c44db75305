import { loadConfig } from '@salvor/runtime/config/load-config'
import { configJsonSchema } from '@salvor/runtime/config/json-schema'
import pc from 'picocolors'
import type { GlobalOptions } from '../context.ts'
import { done, type Answer } from '../output.ts'

/** `salvor config validate`: everything a service would refuse at start is refused here, with line, reason and fix. */
export async function configValidate(options: GlobalOptions): Promise<Answer> {
  const { settings, file } = await loadConfig(options.config, process.env)
  const sources = [...settings.sources.values()].map(({ name, engine, schedule, copies, encrypt }) => ({
    name,
    engine,
    schedule,
    encrypt,
    copies: copies.map((copy) => ({ store: copy.store, classes: copy.classes })),
  }))
  const lines = [
    `${pc.green('✓')} ${file}`,
    ...sources.map(
      (s) =>
        `  ${s.name} (${s.engine}) → ${s.copies.map((c) => c.store).join(', ')}${s.encrypt ? ', encrypted' : ''}; ${Object.entries(
          s.schedule,
        )
          .map(([kind, cron]) => `${kind} ${cron}`)
          .join(', ')}`,
    ),
    ...[...(settings.fleets ?? [])].map(([name, { found, unread }]) =>
      unread === null ? `  ${name}: ${found} files` : pc.yellow(`  ${name}: ${unread}`),
    ),
  ]
  return done({ ok: true, file, timezone: settings.timezone, sources, stores: [...settings.stores.values()] }, lines)
}

/** `salvor config grants SOURCE`: what its administrator types once, so that it can be backed up. */
export async function configGrants(source: string, options: GlobalOptions): Promise<Answer> {
  const config = await loadConfig(options.config, process.env)
  const steps = config.setUp(source)
  const lines = steps.flatMap(({ title, where, lines: typed }) => [
    `${pc.bold(title)}  ${pc.dim(`(${where})`)}`,
    ...typed.map((line) => `    ${line}`),
    '',
  ])
  const nothing = `${source} needs no rights but those of this user's files`
  return done({ source, steps }, steps.length === 0 ? [nothing] : lines.slice(0, -1))
}

/** `salvor config schema`: for editors (`# yaml-language-server: $schema=…`). */
export async function configSchema(_options: GlobalOptions): Promise<Answer> {
  const schema = await configJsonSchema()
  return done(schema, [JSON.stringify(schema, null, 2)])
}
