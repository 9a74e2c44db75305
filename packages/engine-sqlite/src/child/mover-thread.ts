import { workerData } from 'node:worker_threads'
import Database from 'better-sqlite3'
import { failedBy } from './line.ts'
import { type Moved, type MoverSetup, PATIENCE_CELL, type Progress, progressOf, TURN, URGENT_CELL } from './mover.ts'
import { goFirst } from './priority.ts'
import { isBusy, SHORT_WAIT_MS, untilFree } from './until-free.ts'

/** Between two tries while another program moves frames. */
const NAP_MS = 0.2
const OPEN_MS = 10_000
const BUSY: Progress = { busy: 1, log: -1, checkpointed: -1 }
const NOTHING = new Int32Array(new SharedArrayBuffer(4))

const { path, cells, port } = workerData as MoverSetup
// By name only, never looked at as a file: that would drop the locks that this process has on it.
const database = new Database(path, { fileMustExist: true, timeout: SHORT_WAIT_MS })
untilFree(() => database.prepare('SELECT count(*) FROM sqlite_schema').get(), OPEN_MS)
const passive = database.prepare<[], Progress>('PRAGMA wal_checkpoint(PASSIVE)')

for (;;) {
  Atomics.wait(cells, TURN.cell, TURN.mine)
  if (Atomics.load(cells, TURN.cell) === TURN.over) break
  const stepBack = Atomics.load(cells, URGENT_CELL) === 0 ? null : goFirst()
  const moved = move(Atomics.load(cells, PATIENCE_CELL) / 1000)
  stepBack?.()
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  port.postMessage(moved)
  Atomics.store(cells, TURN.cell, TURN.mine)
  Atomics.notify(cells, TURN.cell)
}
database.close()
port.close()

function move(patienceMs: number): Moved {
  const begun = performance.now()
  for (;;) {
    try {
      const progress = progressOf(passive)
      if (progress.busy === 0 || performance.now() - begun > patienceMs) return { progress }
    } catch (error) {
      if (!isBusy(error)) return failedBy(error)
      if (performance.now() - begun > patienceMs) return { progress: BUSY }
    }
    Atomics.wait(NOTHING, 0, 0, NAP_MS)
  }
}
