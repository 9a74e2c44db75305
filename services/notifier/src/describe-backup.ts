import type { Failure } from '@salvor/shared/vocabulary/run'
import type { Describe, Description } from './describe.ts'
import { because, field, goodBefore } from './facts.ts'
import { duration, moment, size } from './human.ts'

export const describeBackupCompleted: Describe<'backup.completed'> = ({ data }, { backup }, recovered) => {
  const { source, type, retention_class, store, filename, size_bytes, source_bytes, duration_ms, ...how } = data
  const kind = retention_class === type ? type : `${type}, kept as ${retention_class}`
  const stored = source_bytes > 0 ? `${size(size_bytes)} (${size(source_bytes)} before compression)` : size(size_bytes)
  return {
    title: recovered ? `Backups work again: ${source}` : `Backup completed: ${source}`,
    text: recovered ? `${source} failed before; this backup is complete and was read back.` : '',
    hint: null,
    fields: [
      field('Source', source),
      field('Type', kind),
      field('No incremental', how.full_because),
      field('Made of', how.merged === undefined ? undefined : `${how.merged} backups, without reading the source`),
      field('Size', stored),
      field('Duration', duration(duration_ms)),
      field('Store', store),
      field('File', filename),
      field('State of', backup && moment(backup.consistent_at)),
      field('Kept until', backup?.retention_until && moment(backup.retention_until)),
    ].flat(),
  }
}

export const describeBackupFailed: Describe<'backup.failed'> = ({ data, time }, { lastGood }) => {
  const { source, type, failures, final, error, merge } = data
  if (merge) return describeMergeFailed(source, failures, final, error)
  const next = final ? 'Salvor has given up on this run' : 'Salvor tries again by itself'
  const command = type === 'incremental' ? `salvor backup ${source} --type incremental` : `salvor backup ${source}`
  return {
    title: final ? `Backup failed: ${source}` : `Backup failed, to be tried again: ${source}`,
    ...because(error, next, final ? command : null),
    fields: [
      field('Source', source),
      field('Type', type),
      field('Failures', String(failures)),
      goodBefore(lastGood, time),
      field('Error', error.code),
    ].flat(),
  }
}

/** The source's backups go on; what is lost is that its next full costs the source nothing. */
function describeMergeFailed(source: string, failures: number, final: boolean, error: Failure): Description {
  const next = final
    ? 'The chain grows on; if no later merge succeeds, a full of the source is taken'
    : 'Salvor tries again by itself'
  return {
    title: final ? `Chain not merged: ${source}` : `Chain not merged, to be tried again: ${source}`,
    ...because(error, next, final ? `salvor backup ${source}` : null),
    fields: [field('Source', source), field('Failures', String(failures)), field('Error', error.code)].flat(),
  }
}
