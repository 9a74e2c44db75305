import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { CopyAddress } from '@salvor/shared/ports/tasks'

/** USAGE for a database that a backup does not have, with those that it has. */
export async function assertDatabases(
  { tasks }: Pick<Deps, 'tasks'>,
  backup: { readonly source: string; readonly chain: readonly CopyAddress[] },
  wanted: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (wanted.length === 0) return
  const { entries } = await tasks.run('contents', { ...backup, database: null }, () => undefined, signal)
  const names = [...new Set(entries.map(({ name }) => name))].sort()
  const unknown = wanted.find((name) => !names.includes(name))
  if (unknown === undefined) return
  const reason = `the backup has no database ${JSON.stringify(unknown)}; it has ${names.join(', ')}`
  throw new SalvorError('USAGE', { reason, command: 'restore' })
}
