import type { startPostgres } from '@salvor/testkit/real/postgres'

type Server = Awaited<ReturnType<typeof startPostgres>>

/** Rows of a clinic: half repeats itself, as names and notes do, half does not, as scans do. About 10 MB a step of `scale`. */
export async function fillCluster(server: Server, scale: number): Promise<number> {
  await server.query('CREATE TABLE patients (id bigint PRIMARY KEY, name text, note text)')
  await server.query('CREATE TABLE visits (id bigserial PRIMARY KEY, patient bigint, at timestamptz, note jsonb)')
  await server.query('CREATE TABLE scans (id bigserial PRIMARY KEY, patient bigint, image bytea)')
  for (let step = 0; step < scale; step += 1) {
    await server.query(`INSERT INTO patients SELECT g, 'patient ' || g, repeat('allergies: none. ', 4)
      FROM generate_series(${step * 10_000 + 1}, ${(step + 1) * 10_000}) g`)
    await server.query(`INSERT INTO visits (patient, at, note) SELECT g % 10000, now() - g * interval '1 minute',
      jsonb_build_object('pulse', 60 + g % 40, 'text', md5(g::text), 'plan', repeat('rest and water; ', 6)) FROM generate_series(1, 16000) g`)
    await server.query(`INSERT INTO scans (patient, image) SELECT g, decode(string_agg(md5(random()::text), ''), 'hex')
      FROM generate_series(1, 1500) g, generate_series(1, 128) h GROUP BY g`)
  }
  await server.query('CHECKPOINT')
  const [row] = (await server.query('SELECT sum(pg_database_size(oid)) AS bytes FROM pg_database')) as {
    bytes: string
  }[]
  return Number(row?.bytes ?? 0)
}
