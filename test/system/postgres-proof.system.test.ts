import type { RecoveryProof } from '@salvor/shared/vocabulary/verification'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { createClinicPg } from '@salvor/testkit/real/postgres-load'
import { expect, test } from 'vitest'
import { makeHome, until } from './salvor.ts'

interface Status {
  readonly sources: readonly {
    readonly recovery: { readonly proven: RecoveryProof | null; readonly failed: RecoveryProof | null } | null
  }[]
}

test('an instant within the window is recovered and checked by schedule, and what came back is kept', async () => {
  await using server = await startPostgres({ major: 17, settings: { max_slot_wal_keep_size: '1GB' } })
  await createClinicPg(server.url, { rows: 500 })
  await using home = await makeHome()
  await home.configure(`stores:
  local: { kind: local, path: ./backups }
sources:
  clinic:
    engine: postgres
    url: "${server.url}"
    schedule: { full: "0 2 * * 0", wal: stream }
    wal: { tail: 1s }
    verify: { full: none, recovery: "*/3 * * * * *" }
    checks: ["SELECT count(*) = 500 FROM patients"]
`)
  const services = (['backup-worker', 'scheduler', 'verifier'] as const).map((name) => home.service(name))
  await until('the stream', async () => (await server.query('SELECT 1 FROM pg_replication_slots')).length > 0)
  const tick = async (): Promise<void> => {
    await server.query('CREATE TABLE IF NOT EXISTS beats (at timestamptz DEFAULT clock_timestamp())')
    await server.query('INSERT INTO beats DEFAULT VALUES')
  }
  const proven = await until('a recovery that is proven', async () => {
    await tick()
    const recovery = (await home.run('status', '--json')).json<Status>().sources[0]?.recovery
    expect(recovery?.failed ?? null, services.map((service) => service.log().slice(-2000)).join('\n')).toBeNull()
    return recovery?.proven?.recovered_to !== undefined && recovery.proven
  })
  expect(proven).toMatchObject({ ok: true, timeline: 1, lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) })
  expect(proven.recovered_to === null || proven.recovered_to <= proven.target_at).toBe(true)
  expect((await home.run('window', 'clinic')).stdout).toMatch(/proven {2}recovered to 20.*last commit/)
  expect((await home.run('status')).stdout).toMatch(/INSTANT PROVEN[^]*clinic[^]* ago /)
})
