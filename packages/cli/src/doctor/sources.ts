import { systemClock } from '@salvor/runtime/clock'
import type { LoadedConfig } from '@salvor/runtime/config/loaded-config'
import { makeScratch } from '@salvor/runtime/tasks/scratch'
import type { Engine } from '@salvor/shared/ports/engine'
import type { Log } from '@salvor/shared/ports/log'
import { bytes } from '../output.ts'
import { checked, good, type DoctorCheck } from './check.ts'

/** Logs in to a source as a backup would, and looks whether a backup of it could be proven here. Changes nothing. */
export async function checkSource(
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
    const { version, source_db, size_bytes, notices } = await engine.probe(signal)
    const size = size_bytes === null ? 'of unknown size' : bytes(size_bytes)
    const advice = notices.map((notice) => good(`${name}: advice`, notice, 'docs/operate says more'))
    return [
      good(name, `${source_db}, version ${version}, ${size}`),
      ...advice,
      ...(await checkProofs(engine, source, signal)),
    ]
  })
}

async function checkProofs(engine: Engine, source: string, signal: AbortSignal): Promise<readonly DoctorCheck[]> {
  const { assertProvable } = engine
  if (assertProvable === undefined) return []
  const name = `proofs of ${source}`
  return await checked(name, async () => [good(name, await assertProvable(signal))])
}
