import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { clinicState, createClinicPg, startPgWriter } from './postgres-load.ts'
import { POSTGRES_MAJORS, startPostgres } from './postgres.ts'

test.each(POSTGRES_MAJORS)('PostgreSQL %i starts, survives a kill and leaves nothing', async (major) => {
  const folder = await (async () => {
    await using server = await startPostgres({ major, settings: { fsync: 'on' }, initdb: ['--data-checksums'] })
    expect(server.version.startsWith(`${major}.`)).toBe(true)
    await createClinicPg(server.url, { rows: 100 })
    await using writer = startPgWriter(server.url, { tps: 500 })
    while (writer.acknowledged < 20) await new Promise((resolve) => setTimeout(resolve, 10))
    await server.kill9()
    const { lastVisit } = { lastVisit: writer.lastVisit }
    await server.start()
    await writer.stop()
    const state = await clinicState(server.url)
    expect(state.consistent).toBe(true)
    expect(state.lastVisit).toBeGreaterThanOrEqual(lastVisit)
    await server.restart('immediate')
    expect(await server.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    return server.folder
  })()
  expect(existsSync(folder)).toBe(false)
})
