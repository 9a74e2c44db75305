import { parentPort, workerData } from 'node:worker_threads'
import sqlite3InitModule from '@sqlite.org/sqlite-wasm'
import type { QueryPart } from '@salvor/shared/ports/reading'
import { HEADER_BYTES, parseHeader } from '../header.ts'
import { FrameCache } from './frame-cache.ts'
import { type Ask, FRAMES, ReaderMemory, type ReaderSetup, type Report, ROWS } from './messages.ts'
import { StateFile } from './state-file.ts'
import { installStateVfs } from './state-vfs.ts'
import { Refused, Statements } from './statements.ts'

/** The body of the reading thread: SQLite, whose reads sleep until the main thread has brought the frame. It opens no file. */
const setup = workerData as ReaderSetup
const memory = new ReaderMemory(setup)
const shapes = [setup.full, ...setup.increments]
const cache = new FrameCache(setup.slots, (artifact, frame, slot) =>
  memory.sleep(FRAMES, () => send({ report: 'need', artifact, frame, slot })),
)
const file = new StateFile(setup.full, setup.increments, readArtifact)

function readArtifact(artifact: number, offset: number, into: Uint8Array): boolean {
  const { frame_bytes, size } = shapes[artifact]!
  if (offset + into.length > size) return false
  for (let at = 0; at < into.length;) {
    const frame = Math.floor((offset + at) / frame_bytes)
    const slot = cache.slotOf(artifact, frame)
    if (slot === null) return false
    const from = offset + at - frame * frame_bytes
    const part = memory.slot(slot).subarray(from, Math.min(frame_bytes, from + into.length - at))
    into.set(part, at)
    at += part.length
  }
  return true
}

function send(report: Report): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort!.postMessage(report)
}

/** Why SQL over this state would not tell the truth; null: it does. */
function unsupported(): string | null {
  const header = Buffer.alloc(HEADER_BYTES)
  if (!file.read(0, header)) return 'its first page cannot be read'
  if (file.size === 0) return null
  const known = parseHeader(header)
  if (!known) return 'it does not begin as a database does'
  const others = setup.increments.filter(({ table }) => table.page_size !== known.page_size)
  if (others.length > 0) return 'pages of its artifacts have different sizes'
  // The reader's SQLite takes all text for UTF-8.
  return header.readUInt32BE(56) > 1 ? 'its text is UTF-16' : null
}

function give(part: QueryPart): boolean {
  if ('columns' in part) {
    send({ report: 'columns', columns: part.columns })
    return true
  }
  return memory.sleep(ROWS, () => send({ report: 'rows', rows: part.rows }))
}

function answer(statements: Statements, { sql }: Ask): Report {
  try {
    statements.run(sql, give)
    return { report: 'done' }
  } catch (error) {
    if (error instanceof Refused) return { report: 'refused', what: error.message }
    return { report: 'failed', reason: (error as Error).message }
  }
}

async function open(): Promise<Report> {
  const reason = unsupported()
  if (reason !== null) return { report: 'unsupported', reason }
  const sqlite = await sqlite3InitModule()
  installStateVfs(sqlite, file)
  const statements = new Statements(sqlite)
  parentPort!.on('message', (ask: Ask) => send(answer(statements, ask)))
  return { report: 'opened' }
}

try {
  send(await open())
} catch (error) {
  send({ report: 'failed', reason: (error as Error).message })
}
