import type { Describe } from './describe.ts'
import { field, goodBefore } from './facts.ts'

export const describeSourceVanished: Describe<'source.vanished'> = ({ data, time }, { lastGood }) => ({
  title: `File gone: ${data.source}`,
  text: 'The file is not where `paths` found it, so it is no longer backed up. Its backups are kept; if it comes back, so does its schedule.',
  hint: `salvor list ${data.source}`,
  fields: [field('Source', data.source), goodBefore(lastGood, time)].flat(),
})
