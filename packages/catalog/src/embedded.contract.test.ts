import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Catalog } from '@salvor/shared/ports/catalog'
import { catalogContract, sampleHolderAlive, testIds } from '@salvor/testkit/contracts/catalog'
import SQLite from 'better-sqlite3'
import { openCatalog } from './open-catalog.ts'

catalogContract('embedded', async () => {
  const data_dir = await mkdtemp(join(tmpdir(), 'salvor-catalog-'))
  const handles: Catalog[] = []
  const again = async () => {
    const catalog = await openCatalog({ url: null, data_dir, ids: testIds(), holderAlive: sampleHolderAlive })
    handles.push(catalog)
    return catalog
  }
  return {
    catalog: await again(),
    again,
    sql: async (statement) => {
      const database = new SQLite(join(data_dir, 'catalog.db'), { timeout: 10_000 })
      database.exec(statement)
      database.close()
    },
    [Symbol.asyncDispose]: async () => {
      for (const catalog of handles) await catalog.close()
      await rm(data_dir, { recursive: true })
    },
  }
})
