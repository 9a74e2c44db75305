import { spawn } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { measure, type Runnable, treeCpu, treePss } from './measure.ts'
import type { Row } from './report.ts'
import { bytesIn, program, type Workplace } from './workplace.ts'

export interface CaptureOptions {
  readonly rows: number
  readonly seconds: number
  readonly say: (line: string) => void
}

interface Captured {
  readonly cpu_s: number
  readonly pss_mb: number
  readonly stored_mb: number
}

const TPS = 200
const FIRST_MS = 60_000

/** A database followed at 200 transactions a second by a worker, and by Litestream on a copy of its own: CPU of the whole tree once it is under way. */
export async function benchCapture(place: Workplace, { rows, seconds, say }: CaptureOptions): Promise<Row[]> {
  const litestream = program('litestream')
  say(`${seconds} s of ${TPS} transactions a second, followed by Salvor`)
  const own = await ownCapture(place, rows, seconds)
  if (litestream !== null) say('the same, followed by Litestream')
  const peer = litestream === null ? null : await litestreamCapture(place, litestream, rows, seconds)
  const missing = 'litestream is not installed here'
  const row = (what: string, pick: (captured: Captured) => number, goal: number | null): Row => ({
    what: `SQLite capture at ${TPS} tx/s, ${seconds} s: ${what} / Litestream`,
    salvor: pick(own),
    peer: peer && pick(peer),
    goal,
    missing,
  })
  return [
    row('CPU seconds', ({ cpu_s }) => cpu_s, 0.5),
    row('Pss MB at its end', ({ pss_mb }) => pss_mb, null),
    row('stored MB', ({ stored_mb }) => stored_mb, null),
  ]
}

async function ownCapture(place: Workplace, rows: number, seconds: number): Promise<Captured> {
  const db = freshClinic(place, rows)
  for (const name of ['backups', 'salvor-data', 'keys.json', 'recovery.pem'])
    rmSync(place.path(name), { recursive: true, force: true })
  place.write('salvor.yaml', configuration(db))
  await measure(place.salvor('keys', 'create', '--out', 'keys.json', '--recovery', 'recovery.pem'))
  await measure(place.salvor('backup', 'clinic', '--json'))
  const folder = place.path('backups/clinic/changes')
  return capture({ what: place.salvor('service', 'backup-worker'), db, folder, seconds })
}

async function litestreamCapture(place: Workplace, litestream: string, rows: number, seconds: number) {
  const db = freshClinic(place, rows)
  const folder = place.path('litestream')
  rmSync(folder, { recursive: true, force: true })
  const args = ['replicate', db, `file://${folder}`]
  return capture({ what: { command: litestream, args, cwd: place.folder }, db, folder, seconds })
}

async function capture(job: { what: Runnable; db: string; folder: string; seconds: number }): Promise<Captured> {
  const { command, args, cwd } = job.what
  const child = spawn(command, args, { cwd, stdio: 'ignore' })
  try {
    await using writer = await startWriter(job.db, { tps: TPS })
    for (const end = performance.now() + FIRST_MS; !hasFiles(job.folder); await pause(100))
      if (performance.now() > end) throw new Error(`${command} stored nothing`)
    // Its beginning, the comparison with the backup or the first snapshot, is not what is measured.
    await pause(5_000)
    const pid = child.pid ?? 0
    const [cpu, bytes] = [treeCpu(pid), bytesIn(job.folder)]
    await pause(job.seconds * 1_000)
    const spent = {
      cpu_s: treeCpu(pid) - cpu,
      pss_mb: treePss(pid) / 1e6,
      stored_mb: (bytesIn(job.folder) - bytes) / 1e6,
    }
    const { committed, errors } = await writer.stop()
    if (errors > 0 || committed < 0.9 * TPS * job.seconds)
      throw new Error(`the writer committed ${committed}, ${errors} failed`)
    return spent
  } finally {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    if (child.exitCode === null && child.kill('SIGTERM')) await ended
  }
}

function hasFiles(folder: string): boolean {
  if (!existsSync(folder)) return false
  return readdirSync(folder, { recursive: true, withFileTypes: true }).some((entry) => entry.isFile())
}

function freshClinic(place: Workplace, rows: number): string {
  const db = join(place.fresh('capture'), 'clinic.db')
  createClinic(db, { rows })
  return db
}

function configuration(db: string): string {
  return `stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./keys.json }
sources:
  clinic: { engine: sqlite, path: ${db}, schedule: { full: "0 2 * * 0", changes: stream }, verify: { full: none, incremental: none } }
`
}
