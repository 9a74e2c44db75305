import type { Describe } from './describe.ts'
import { because, field } from './facts.ts'
import { duration, moment } from './human.ts'

export const describeRestoreCompleted: Describe<'restore.completed'> = ({ data }, { backup }, recovered) => {
  const { source, target, recovered_to, duration_ms } = data
  return {
    title: recovered ? `Restore works again: ${source}` : `Restored: ${source}`,
    text: '',
    hint: null,
    fields: [
      field('Source', source),
      field('Target', target),
      field('State of', moment(recovered_to)),
      field('Duration', duration(duration_ms)),
      field('File', backup?.filename),
    ].flat(),
  }
}

export const describeRestoreFailed: Describe<'restore.failed'> = ({ data }, { backup }) => {
  const { source, target, error } = data
  return {
    title: `Restore failed: ${source}`,
    ...because(error, 'Nothing was put in place', `salvor list ${source}`),
    fields: [
      field('Source', source),
      field('Target', target),
      field('File', backup?.filename),
      field('Error', error.code),
    ].flat(),
  }
}
