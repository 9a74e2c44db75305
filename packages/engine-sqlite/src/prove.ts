import { SOURCE_CHECK, type Check } from '@salvor/shared/vocabulary/verification'
import { examine, examineAtOnce, INTEGRITY, type Question } from './examination.ts'
import type { Site } from './site.ts'

const NAME_LENGTH = 200

/** Opens a restored copy with SQLite, isolated: the engine's own checks, then those of the configuration. */
export async function proveCopy(
  site: Site,
  restored: string,
  checks: readonly string[],
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const { source, scratch_dir: scratch } = site.context
  const questions = checks.map((sql): Question => {
    const name = sql.replaceAll(/\s+/g, ' ').trim().slice(0, NAME_LENGTH)
    return { name: `${SOURCE_CHECK}${name}`, command: { command: 'check', sql }, limit_ms: site.limits.check_ms }
  })
  const subject = { path: restored, source, scratch }
  const own = await examineAtOnce(subject, INTEGRITY, signal)
  return [...own, ...(await examine(subject, questions, signal))]
}
