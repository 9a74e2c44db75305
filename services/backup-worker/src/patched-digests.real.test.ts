import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { createDispatch } from '@salvor/runtime/dispatch/dispatch'
import { fetchBase } from '@salvor/runtime/fetch-base'
import { openRuntime } from '@salvor/runtime/open-runtime'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { backupWorker } from './service.ts'

const never = new AbortController().signal

test('a change stream begins on an incremental whose digests are a patch; where a piece of them is damaged, a full is taken and says why', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-patched-'))
  const path = (name: string): string => join(folder, name)
  createClinic(path('clinic.db'), { rows: 2_000 })
  const sources = 'sources: { clinic: { engine: sqlite, path: ./clinic.db } }'
  writeFileSync(path('salvor.yaml'), `stores: { local: { kind: local, path: ./backups } }\n${sources}\n`)
  try {
    await using runtime = await openRuntime({ config_file: path('salvor.yaml'), env: process.env, openCatalog })
    const { deps, holder } = runtime
    const { catalog } = deps
    const dispatch = createDispatch({ definitions: [backupWorker], deps, holder, random: () => 0 })
    const take = async (type: 'full' | 'incremental'): Promise<Record<string, unknown>> => {
      const { config_hash } = deps.settings().sources.get('clinic')!
      const more = { retention_class: type, trigger: 'schedule', scheduled_for: null } as const
      const params = { source: 'clinic', type, ...more }
      const run = await catalog.transaction({ service: 'scheduler' }, (tx) =>
        tx.enqueue({ job: 'take-backup', source: 'clinic', config_hash, params }),
      )
      await dispatch.executeRun(run.id)
      const ended = (await catalog.run(run.id))!
      expect(ended.error).toBeNull()
      return ended.result as Record<string, unknown>
    }
    await take('full')
    for (const seen of [1, 2]) {
      const database = new DatabaseSync(path('clinic.db'))
      database.exec(`UPDATE patients SET seen = ${seen} WHERE id % 500 = 0`)
      database.close()
      await take('incremental')
    }
    const digests = readdirSync(path('backups/clinic')).filter(
      (name) => name.includes('incremental') && name.includes('.digests.'),
    )
    expect(digests).toHaveLength(2)
    for (const name of digests) expect(statSync(path(`backups/clinic/${name}`)).size).toBeLessThan(800)

    const [tip] = await catalog.backups({ source: 'clinic', limit: 1 })
    const base = await fetchBase(deps, tip!, path('base'), never)
    const head = JSON.parse(readFileSync(base!.digests, 'latin1').split('\n', 1)[0]!) as Record<string, unknown>
    expect(head).toMatchObject({ format: 'salvor-page-digests', page_count: base!.engine_facts['page_count'] })

    const lower = path(`backups/clinic/${digests.toSorted()[0]!}`)
    const bytes = readFileSync(lower)
    rmSync(lower)
    writeFileSync(lower, bytes.subarray(1))
    expect(await fetchBase(deps, tip!, path('base'), never)).toBeNull()
    const result = await take('incremental')
    expect(result).toMatchObject({ full_because: expect.stringContaining(digests.toSorted()[0]!) })
    const [newest] = await catalog.backups({ source: 'clinic', limit: 1 })
    expect(newest).toMatchObject({ id: result['backup_id'], type: 'full' })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
