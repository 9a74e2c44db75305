import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { systemIds } from '@salvor/runtime/clock'
import { holderAlive } from '@salvor/runtime/holder'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { ChangeSetFile } from '@salvor/shared/vocabulary/change-set'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { planChanges } from './plan-changes.ts'

test('once a day what a source with change sets has is compacted whole, then thinned out; nothing is planned for any other', async () => {
  const data_dir = mkdtempSync(join(tmpdir(), 'salvor-plan-'))
  const catalog = await openCatalog({ url: null, data_dir, ids: systemIds, holderAlive })
  try {
    const now = await catalog.now()
    const set = { source: 'desk', from_at: now, to_at: now, stored_at: now, base: 'b', name: 'n', method: 'log' }
    const more = { stands_on: 'base', previous: null, lost: null, page_size: 512, page_count: 1, pages: 1 }
    const rest = { state_sha256: null, position: null, size_bytes: 1, source_bytes: 1, document_sha256: 'd' }
    const file = { ...set, ...more, ...rest, brings_state_of: null } as ChangeSetFile
    await catalog.transaction({ service: 'cli' }, (tx) => tx.recordChangeSet(file, 'local'))
    const settings = ['desk', 'new', 'clinic'].map((name): [string, Partial<SourceSettings>] => {
      return [name, { name, pool: null, streams: name === 'clinic' ? 'wal' : 'changes' }]
    })
    const deps = { catalog, settings: () => ({ sources: new Map(settings) }) } as unknown as Deps
    for (const at of [now, shifted(now, 1), shifted(now, 24 * 3_600_000)]) {
      const commit = await planChanges(deps, at)
      await catalog.transaction({ service: 'scheduler' }, commit)
    }
    const runs = await catalog.runs({ jobs: ['compact-changes', 'expire-changes'] })
    const planned = runs.map(
      ({ job, params, not_before }) => `${job} ${JSON.stringify(params)} ${not_before > shifted(now, 1_800_000)}`,
    )
    expect(planned.toSorted()).toEqual([
      'compact-changes {"source":"desk","whole":true} false',
      'compact-changes {"source":"desk","whole":true} false',
      'expire-changes {"source":"desk"} true',
      'expire-changes {"source":"desk"} true',
    ])
  } finally {
    await catalog.close()
    rmSync(data_dir, { recursive: true, force: true })
  }
})
