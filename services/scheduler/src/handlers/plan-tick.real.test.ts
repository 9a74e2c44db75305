import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { systemIds } from '@salvor/runtime/clock'
import { holderAlive } from '@salvor/runtime/holder'
import type { JobRun } from '@salvor/shared/messages/jobs'
import type { Deps } from '@salvor/shared/ports/service'
import { expect, test } from 'vitest'
import { planTick } from './plan-tick.ts'

test('a file that cannot be seen is due all the same, so that its absence is told; a source that left the file is not', async () => {
  const data_dir = mkdtempSync(join(tmpdir(), 'salvor-tick-'))
  const catalog = await openCatalog({ url: null, data_dir, ids: systemIds, holderAlive })
  try {
    const now = await catalog.now()
    await catalog.transaction({ service: 'scheduler' }, async (tx) => {
      for (const name of ['tenants/a.db', 'left']) {
        await tx.registerSource({ name, engine: 'sqlite', pool: null, config_hash: 'h' })
        await tx.setSchedules(name, [{ kind: 'full', cron: '0 2 * * *', timezone: 'UTC', due_at: now }])
      }
    })
    await pause(5)
    const fleets = new Map([['tenants', { found: 0, unread: 'gone', left_out: [] }]])
    const log = { warn: () => undefined } as unknown as Deps['log']
    const deps = { catalog, log, settings: () => ({ sources: new Map(), fleets }) } as unknown as Deps
    const { commit } = await planTick.handle({} as JobRun<'plan-tick'>, deps, AbortSignal.any([]), () => undefined)
    await catalog.transaction({ service: 'scheduler' }, async (tx) => commit!(tx))
    const runs = await catalog.runs({ jobs: ['take-backup'] })
    expect(runs.map(({ source, config_hash }) => ({ source, config_hash }))).toEqual([
      { source: 'tenants/a.db', config_hash: null },
    ])
  } finally {
    await catalog.close()
    rmSync(data_dir, { recursive: true, force: true })
  }
})
