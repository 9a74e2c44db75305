import type { Describe } from './describe.ts'
import { because, field, goodBefore } from './facts.ts'
import { sentence } from './human.ts'

export const describeWalGap: Describe<'wal-gap.detected'> = ({ data, time }, { lastGood }) => {
  const { source, timeline, from_lsn, to_lsn, reason } = data
  const lost = `WAL from ${from_lsn} to ${to_lsn} is in no store, and the server no longer has it`
  return {
    title: `A gap in the WAL: ${source}`,
    text: `${sentence(lost)} ${sentence(reason)} No recovery crosses it; Salvor takes a new full backup where none lies behind it.`,
    hint: `salvor window ${source}`,
    fields: [field('Source', source), field('Timeline', String(timeline)), goodBefore(lastGood, time)].flat(),
  }
}

export const describeWalFailed: Describe<'wal-stream.failed'> = ({ data, time }, { lastGood }) => {
  const { source, error } = data
  const next = error.retryable
    ? 'Salvor tries again by itself; the server keeps its WAL meanwhile, as far as its slot may'
    : 'Backups go on; until it streams, a restore brings back the last backup, not any instant'
  return {
    title: `WAL is not streamed: ${source}`,
    ...because(error, next, null),
    fields: [field('Source', source), goodBefore(lastGood, time), field('Error', error.code)].flat(),
  }
}

export const describeWalRecovered: Describe<'wal-stream.recovered'> = ({ data }) => ({
  title: `WAL is streamed again: ${data.source}`,
  text: '',
  hint: `salvor window ${data.source}`,
  fields: [...field('Source', data.source)],
})
