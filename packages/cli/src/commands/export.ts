import { resolve } from 'node:path'
import { chainAddresses } from '@salvor/runtime/chain-addresses'
import type { Runtime } from '@salvor/runtime/open-runtime'
import type { RestoreParts } from '@salvor/shared/ports/engine'
import type { ExportFormat } from '@salvor/shared/ports/reading'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import pc from 'picocolors'
import { chosenBackup, knowsIn } from '../chosen-backup.ts'
import type { GlobalOptions } from '../context.ts'
import { openWithFrom, storeIn, unreadableIn, unreadableLines } from '../from-store.ts'
import { done, type Answer } from '../output.ts'
import { progressView } from '../progress.ts'

export interface ExportOptions extends GlobalOptions {
  readonly to: string
  readonly format: ExportFormat
  readonly backup?: string
  readonly from?: string
  readonly keys?: string
  readonly parts?: RestoreParts
}

const SHOWN = 40

/** `salvor export SOURCE|BACKUP --to FOLDER`: what a backup holds, for other programs. In this process, as a restore. */
export async function exportFiles(what: string, options: ExportOptions, signal: AbortSignal): Promise<Answer> {
  const knows = (known: Runtime) => knowsIn(known, what, options.backup, options.from)
  const needs = { keys: options.keys, expects: 'export' } as const
  await using runtime = await openWithFrom(options, options.from, needs, knows, signal)
  const { catalog, clock, tasks } = runtime.deps
  const backup = await chosenBackup(runtime, what, options.backup)
  const chain = chainAddresses(await catalog.chain(backup.id), storeIn(runtime, options.from) ?? null)
  const target = resolve(options.to)
  using view = progressView(`export ${backup.source}`, options.json, () => clock.monotonicMs())
  const began = clock.monotonicMs()
  const input = { source: backup.source, chain, target, format: options.format, parts: options.parts }
  const { files, recovered_to } = await tasks.run('export', input, (progress) => view.show(progress), signal)
  if (signal.aborted) throw new SalvorError('INTERRUPTED')
  await catalog.transaction({ service: 'cli' }, (tx) =>
    tx.audit({ actor: 'cli', action: 'export', object: backup.id, outcome: target }),
  )
  const duration_ms = Math.round(clock.monotonicMs() - began)
  const lines = files.slice(0, SHOWN).map(({ file, what: name, rows }) => {
    return `  ${file}  ${pc.dim(rows === null ? name : `${name}, ${rows} rows`)}`
  })
  const rest = files.length > SHOWN ? [`  and ${files.length - SHOWN} more: tables.json lists all`] : []
  return done({ backup: backup.id, target, ok: true, recovered_to, format: options.format, duration_ms, files }, [
    ...unreadableLines(unreadableIn(runtime)),
    `${pc.green('✓')} ${backup.source}  ${backup.filename} → ${target}, state of ${recovered_to}`,
    ...lines,
    ...rest,
  ])
}
