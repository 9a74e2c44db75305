import type { Catalog } from '@salvor/shared/ports/catalog'
import { catalogContract, sampleHolderAlive, testIds } from '@salvor/testkit/contracts/catalog'
import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { Client } from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { openCatalog } from './open-catalog.ts'

let server: RealPostgres
let databases = 0
beforeAll(async () => {
  server = await startPostgres({ major: 17 })
})
afterAll(() => server.stop())

catalogContract('PostgreSQL', async () => {
  const name = `catalog_${(databases += 1)}`
  await server.query(`create database ${name}`)
  const url = new URL(server.url)
  url.pathname = `/${name}`
  const handles: Catalog[] = []
  const again = async () => {
    const catalog = await openCatalog({ url: url.href, data_dir: '/', ids: testIds(), holderAlive: sampleHolderAlive })
    handles.push(catalog)
    return catalog
  }
  return {
    catalog: await again(),
    again,
    sql: async (statement) => {
      const client = new Client({ connectionString: url.href })
      await client.connect()
      await client.query('set search_path = salvor')
      await client.query(statement)
      await client.end()
    },
    [Symbol.asyncDispose]: async () => {
      for (const catalog of handles) await catalog.close()
      await server.query(`drop database ${name} with (force)`)
    },
  }
})
