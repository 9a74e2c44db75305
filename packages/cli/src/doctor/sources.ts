import { systemClock } from '@salvor/runtime/clock'
import type { LoadedConfig } from '@salvor/runtime/config/loaded-config'
import { makeScratch } from '@salvor/runtime/tasks/scratch'
import type { Engine } from '@salvor/shared/ports/engine'
import type { Log } from '@salvor/shared/ports/log'
import { bytes } from '../output.ts'
import { bad, checked, good, type DoctorCheck } from './check.ts'

/** Each look is a process of its own, and `paths` may name a thousand files. */
const AT_ONCE = 4

/** In the order of `sources`. */
export async function checkSources(
  config: LoadedConfig,
  sources: readonly string[],
  log: Log,
  signal: AbortSignal,
): Promise<readonly DoctorCheck[]> {
  const found: (readonly DoctorCheck[])[] = sources.map(() => [])
  const rest = sources.entries()
  const work = async (): Promise<void> => {
    for (const [i, source] of rest) found[i] = await checkSource(config, source, log, signal)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return found.flat()
}

/** Logs in to a source as a backup would, and looks whether a backup of it could be proven here. Changes nothing. */
async function checkSource(
  config: LoadedConfig,
  source: string,
  log: Log,
  signal: AbortSignal,
): Promise<readonly DoctorCheck[]> {
  const name = `source ${source}`
  return await checked(name, async () => {
    await using scratch = await makeScratch(config.sandbox_dir, log)
    const engine = await config.openEngine(source, {
      source,
      scratch_dir: scratch.path,
      log,
      now: () => systemClock.now(),
      progress: () => undefined,
      server_programs: config.server_programs,
    })
    const { version, source_db, size_bytes, notices, not_streamed } = await engine.probe(signal)
    const size = size_bytes === null ? 'of unknown size' : bytes(size_bytes)
    const advice = notices.map((notice) =>
      good(
        `${name}: advice`,
        notice,
        config.settings.sources.get(source)?.engine === 'postgres'
          ? 'docs/operate/postgres.md says more'
          : 'docs/operate.md says more',
      ),
    )
    const streams = config.settings.sources.get(source)?.wal !== undefined
    return [
      good(name, `${source_db}, version ${version}, ${size}`),
      ...advice,
      ...(streams && not_streamed ? [bad(`WAL of ${source}`, not_streamed.reason, not_streamed.fix)] : []),
      ...(await checkProofs(engine, source, signal)),
    ]
  })
}

/** What `paths` of the sources find. */
export function checkFiles({ settings }: LoadedConfig): readonly DoctorCheck[] {
  return [...(settings.fleets ?? [])].flatMap(([source, { found, unread, left_out }]) => {
    const name = `files of ${source}`
    if (unread !== null)
      return [bad(name, unread, 'make the place readable for the user that runs Salvor, or correct `paths`')]
    if (found === 0) return [good(name, 'none yet', 'a file that comes is backed up by itself')]
    const others = left_out.map(({ file, reason }) =>
      bad(name, `${JSON.stringify(file)}: ${reason}`, 'rename the file'),
    )
    return [good(name, `${found}`), ...others]
  })
}

async function checkProofs(engine: Engine, source: string, signal: AbortSignal): Promise<readonly DoctorCheck[]> {
  const { assertProvable } = engine
  if (assertProvable === undefined) return []
  const name = `proofs of ${source}`
  return await checked(name, async () => [good(name, await assertProvable(signal))])
}
