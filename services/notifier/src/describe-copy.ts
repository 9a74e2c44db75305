import type { Describe } from './describe.ts'
import { because, field, goodBefore, goodElsewhere } from './facts.ts'
import { duration, sentence, size } from './human.ts'

const LOOKED: Readonly<Record<'checksum' | 'decode' | 'restore', string>> = {
  checksum: 'its stored bytes are those of the manifest',
  decode: 'every byte of it was decoded',
  restore: 'it was restored and opened, and its checks passed',
}

export const describeCopyReplicated: Describe<'copy.replicated'> = ({ data }, { backup }, recovered) => {
  const { source, store, size_bytes, duration_ms } = data
  return {
    title: recovered ? `Copies arrive again in ${store}: ${source}` : `Copied to ${store}: ${source}`,
    text: recovered ? `No older backup of ${source} is missing in ${store} any more.` : '',
    hint: null,
    fields: [
      field('Source', source),
      field('Store', store),
      field('Size', size(size_bytes)),
      field('Duration', duration(duration_ms)),
      field('File', backup?.filename),
    ].flat(),
  }
}

export const describeCopyVerified: Describe<'copy.verified'> = ({ data }, { backup }, recovered) => {
  const { source, store, level, duration_ms } = data
  return {
    title: recovered ? recoveryTitle(recovered, source, store) : `Copy is good in ${store}: ${source}`,
    text: sentence(LOOKED[level]),
    hint: null,
    fields: [
      field('Source', source),
      field('Store', store),
      field('Level', level),
      field('Duration', duration(duration_ms)),
      field('File', backup?.filename),
    ].flat(),
  }
}

export const describeCopyCorrupt: Describe<'copy.corrupt'> = ({ data, time }, { backup, lastGood }) => {
  const { source, backup_id, store, level, failed_checks } = data
  const elsewhere = goodElsewhere(backup, store)
  const found = failed_checks.length > 0 ? sentence(failed_checks.join('; ')) : ''
  const rest = elsewhere
    ? `The same backup is good in other places: ${elsewhere}.`
    : 'No other good copy of this backup is known: take a new one.'
  return {
    title: `Corrupt copy in ${store}: ${source}`,
    text: [found, rest, 'Nothing was moved or deleted.'].filter(Boolean).join(' '),
    hint: elsewhere ? `salvor list ${source}` : `salvor backup ${source}`,
    fields: [
      field('Source', source),
      field('Store', store),
      field('Found by', level),
      goodBefore(lastGood, time),
      field('File', backup?.filename),
      field('Backup', backup_id),
    ].flat(),
  }
}

export const describeCopyFailed: Describe<'copy.failed'> = ({ data }, { backup }) => {
  const { source, backup_id, store, what, failures, final, error } = data
  const next = final ? 'Salvor has given up on this run' : 'Salvor tries again by itself'
  const command = what === 'verify' ? `salvor verify ${backup?.filename ?? backup_id}` : 'salvor queue dead'
  return {
    title: failureTitle(source, store, what, error.code),
    ...because(error, next, final ? command : null),
    fields: [
      field('Source', source),
      field('Store', store),
      field('Failures', String(failures)),
      field('Elsewhere', goodElsewhere(backup, store) || 'no good copy'),
      field('File', backup?.filename),
      field('Error', error.code),
    ].flat(),
  }
}

function failureTitle(source: string, store: string, what: 'replicate' | 'verify', code: string): string {
  if (code === 'CHECKS_FAILED') return `Checks failed on the restored data: ${source}`
  if (code === 'WAL_DAMAGED') return `WAL is missing or damaged in ${store}: ${source}`
  if (code === 'CHANGES_DAMAGED') return `Change sets are missing or damaged in ${store}: ${source}`
  if (code === 'RECOVERY_NOT_PROVEN') return `A recovery to an instant failed: ${source}`
  if (code === 'CANNOT_VERIFY_HERE') return `Cannot be proven on this machine: ${source}`
  return what === 'replicate' ? `Copy to ${store} failed: ${source}` : `Copy in ${store} cannot be checked: ${source}`
}

function recoveryTitle(key: string, source: string, store: string): string {
  if (key.endsWith(`/corrupt/${store}`)) return `No corrupt copy left in ${store}: ${source}`
  if (key.endsWith('/wal-copies')) return `The stored WAL is whole again: ${source}`
  if (key.endsWith('/change-copies')) return `The stored change sets are whole again: ${source}`
  if (key.endsWith('/recovery')) return `It recovers to an instant again: ${source}`
  return key.endsWith('/checks') ? `Checks pass again: ${source}` : `Copies in ${store} can be checked again: ${source}`
}
