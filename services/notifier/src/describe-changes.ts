import type { Describe } from './describe.ts'
import { because, field, goodBefore } from './facts.ts'

export const describeChangesFailed: Describe<'change-stream.failed'> = ({ data, time }, { lastGood }) => {
  const { source, error } = data
  const next = error.retryable
    ? 'Salvor tries again by itself'
    : 'Backups go on; until it is followed again, a restore brings back the last backup, not any instant'
  return {
    title: `Changes are not followed: ${source}`,
    ...because(error, next, null),
    fields: [field('Source', source), goodBefore(lastGood, time), field('Error', error.code)].flat(),
  }
}

export const describeChangesRecovered: Describe<'change-stream.recovered'> = ({ data }) => ({
  title: `Changes are followed again: ${data.source}`,
  text: '',
  hint: `salvor window ${data.source}`,
  fields: [...field('Source', data.source)],
})
