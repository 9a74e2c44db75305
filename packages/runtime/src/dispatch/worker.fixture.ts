import type { JobHandler } from '@salvor/shared/ports/service'
import { service, type World } from '../world.fixture.ts'
import type { DispatchOptions } from './context.ts'
import { createDispatch } from './dispatch.ts'

export type Backup = JobHandler<'take-backup'>

/** A backup-worker whose backups are what the test says. */
export function worker(
  world: World,
  handler: Partial<Backup> & Pick<Backup, 'handle'>,
  options: Partial<DispatchOptions> = {},
) {
  const definitions = [service('backup-worker', { jobs: { 'take-backup': handler } })]
  return createDispatch({ definitions, deps: world.deps, holder: world.holder, random: () => 0, ...options })
}

export const failedEvents = async (world: World) => world.catalog.unsentEvents('backup-worker', 10)

export const publishFailure: NonNullable<Backup['failed']> = (run, error, final) => async (tx) => {
  const data = {
    source: run.params.source,
    run_id: run.id,
    type: run.params.type,
    failures: run.failures + 1,
    final,
    error,
  }
  await tx.publish({ type: 'backup.failed', subject: run.params.source, data })
}
