import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SourceSettings } from '@salvor/shared/ports/service'
import type { WalSource } from '@salvor/shared/ports/wal'
import type { GlobalOptions } from '../context.ts'

export interface WalOptions extends GlobalOptions {
  readonly source?: string
}

/** The source that was named, or the only one whose WAL can be had. */
export function sourceOf({ deps }: Runtime, named: string | undefined): { settings: SourceSettings; wal: WalSource } {
  const { sources } = deps.settings()
  const usage = (reason: string) => new SalvorError('USAGE', { reason, command: 'wal' })
  if (named !== undefined && !sources.has(named)) throw new SalvorError('SOURCE_UNKNOWN', { source: named })
  const streaming = [...sources.values()].filter((source) => source.streams === 'wal')
  const [only, ...more] = named === undefined ? streaming : streaming.filter(({ name }) => name === named)
  if (!only) throw usage(named === undefined ? 'no source has WAL' : `${named} has no WAL`)
  if (more.length > 0) throw usage(`name one: --source ${[only, ...more].map(({ name }) => name).join('|')}`)
  const { wal } = deps.engine(only.name)
  if (!wal) throw usage(`${only.name} has no WAL`)
  return { settings: only, wal }
}
