import { spawn } from 'node:child_process'
import { once } from 'node:events'
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
    const { lastVisit } = writer
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

test('a process that is killed leaves neither server nor files', async () => {
  const program = `
    import { startPostgres } from '${new URL('./postgres.ts', import.meta.url).href}'
    const server = await startPostgres({ major: 17 })
    console.log(server.folder)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--conditions=source', '--input-type=module', '-e', program])
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const folder = line.toString().trim()
  expect(existsSync(folder)).toBe(true)
  child.kill('SIGKILL')
  await expect.poll(() => existsSync(folder), { timeout: 10_000 }).toBe(false)
})
