import { chainAddresses } from '@salvor/runtime/chain-addresses'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { RestoreParts } from '@salvor/shared/ports/engine'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import pc from 'picocolors'
import { bytes, done, type Answer } from './output.ts'
import type { PlannedRestore } from './planned-restore.ts'
import { STREAM } from './restore-stream.ts'

interface Asked {
  readonly target: string
  readonly inPlace: boolean
  readonly delta?: 'same' | 'any'
  readonly start: boolean
  readonly parts?: RestoreParts
}

interface Chosen {
  readonly backup: BackupWithCopies
  readonly store: string
  /** The only store to read from; undefined: any. */
  readonly from: string | undefined
}

/** A logical backup may come back into a running server. */
export const isServer = (target: string): boolean => /^postgres(?:ql)?:\/\//.test(target)

/** What a restore would do, and what would refuse it as things are; nothing is written. */
export async function planAnswer(
  runtime: Runtime,
  chosen: Chosen,
  asked: Asked,
  recovery: PlannedRestore | null,
): Promise<Answer> {
  const { backup, store } = chosen
  const { target, inPlace, delta, start } = asked
  const hooks = inPlace ? runtime.deps.settings().sources.get(backup.source)?.hooks : undefined
  const some = await databasesOf(runtime, chosen, asked)
  const amount = `${bytes(some?.bytes ?? backup.source_bytes)}${some ? ` of ${bytes(backup.source_bytes)} (${some.names.join(', ')})` : ''}`
  const steps = [
    ...(hooks?.before ? [`run the hook before: ${hooks.before.join(' ')}`] : []),
    ...(inPlace ? [`take a pre_restore backup of ${target}`] : []),
    `read ${delta ? 'what is needed of ' : ''}${bytes(backup.size_bytes)} from ${store}: ${backup.source}/${backup.filename}`,
    ...(recovery ? [recovery.step] : []),
    writing(target, amount, asked),
    ...(inPlace && !delta ? ['leave what was there beside it, under another name'] : []),
    ...(start ? ['run a server on it, without a network, until it has reached its target; stop it'] : []),
    ...(hooks?.after ? [`run the hook after: ${hooks.after.join(' ')}`] : []),
  ]
  const refusal = await refusedNow(runtime, backup, asked)
  const document = {
    backup: backup.id,
    target,
    in_place: inPlace,
    store,
    state: backup.state,
    consistent_at: backup.consistent_at,
    ...(recovery && { recovery: recovery.document }),
    bytes_to_read: backup.size_bytes,
    bytes_to_write: some?.bytes ?? backup.source_bytes,
    steps,
    refused_now: refusal?.toFailure() ?? null,
  }
  runtime.deps.log.debug({ backup_id: backup.id, target }, 'restore planned')
  const unless = hooks?.before ? ', unless the hook changes it' : ''
  return done(document, [
    `${backup.source}  ${backup.filename} (${backup.state}), state of ${backup.consistent_at}`,
    ...steps.map((s, i) => `  ${i + 1}. ${s}`),
    ...(refusal
      ? [`${pc.yellow('!')} as things are it is refused${unless}: ${refusal.message}`, `    → ${refusal.hint}`]
      : []),
  ])
}

function writing(target: string, amount: string, { delta }: Asked): string {
  if (isServer(target))
    return `restore ${amount} of dumps into new or empty databases at ${target}, and count their rows`
  if (target === STREAM) return `write ${amount} to stdout`
  return delta
    ? `compare ${target} with it, write what differs of ${amount}, remove what does not belong`
    : `write ${amount} beside ${target}, check them, put them in place`
}

/** Which databases come back, and how much that is; null: all. USAGE for one that the backup does not have. */
async function databasesOf(
  { deps }: Runtime,
  { backup, from }: Chosen,
  { parts }: Asked,
): Promise<{ readonly names: readonly string[]; readonly bytes: number } | null> {
  const { databases: wanted = [] } = parts ?? {}
  if (wanted.length === 0) return null
  const { source } = backup
  const chain = chainAddresses(await deps.catalog.chain(backup.id), from ?? null)
  const input = { source, chain, database: null }
  const { entries } = await deps.tasks.run('contents', input, () => undefined, AbortSignal.any([]))
  const names = [...new Set(entries.map(({ name }) => name))]
  const unknown = wanted.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    const reason = `the backup has no database ${JSON.stringify(unknown)}; it has ${names.toSorted().join(', ')}`
    throw new SalvorError('USAGE', { reason, command: 'restore' })
  }
  const left = entries.filter(({ name, always }) => !always && !wanted.includes(name))
  const leftBytes = left.reduce((sum, entry) => sum + (entry.bytes ?? 0), 0)
  return { names: wanted, bytes: Math.max(0, backup.source_bytes - leftBytes) }
}

/** Null: nothing that is seen without a write speaks against it. */
async function refusedNow({ deps }: Runtime, { source }: BackupWithCopies, asked: Asked): Promise<SalvorError | null> {
  const { target, inPlace, delta } = asked
  if (target === STREAM) return null
  try {
    // To which cluster a folder belongs is seen by the restore, which has the manifest.
    await deps.engine(source).assertTarget(target, inPlace, delta && { delta: 'any', engine_facts: {} })
    return null
  } catch (error) {
    const isRefusal = error instanceof SalvorError && /^TARGET_|^DELTA_REFUSED$|^RESTORE_FAILED$/.test(error.code)
    return isRefusal ? error : null
  }
}
