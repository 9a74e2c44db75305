import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type Database from 'better-sqlite3'
import { coded } from './messages.ts'

/** Frames in the write-ahead log, and how many of them lie in the main file. `busy`: another program was at it. */
export interface Progress {
  readonly busy: number
  readonly log: number
  readonly checkpointed: number
}

/** Moves frames into the main file: a PASSIVE checkpoint, which makes nobody wait, with the fsyncs that make it durable. */
export interface Mover {
  /** `within` keeps its time, whatever the disk is at. */
  readonly isPunctual: boolean
  /** While writers go on. */
  pass(): Promise<Progress>
  /** While they are kept out. Null: not done within `ms`. */
  within(ms: number): Progress | null
}

/** In this thread, which an fsync holds up for as long as the disk likes. */
export function moveHere(database: Database.Database): Mover {
  const passive = database.prepare<[], Progress>('PRAGMA wal_checkpoint(PASSIVE)')
  const move = (): Progress => progressOf(passive)
  return { isPunctual: false, pass: async () => move(), within: move }
}

export function progressOf(statement: Database.Statement<[], Progress>): Progress {
  const progress = statement.get()
  if (!progress) throw new Error('wal_checkpoint gave no row')
  return progress
}

/** What two threads share: whose turn it is, and for how many microseconds a checkpoint of another program is waited for. */
export const TURN = { cell: 0, mine: 0, asked: 1, over: 2 } as const
export const PATIENCE_CELL = 1
/** Not zero: writers are kept out, so it goes before other threads. */
export const URGENT_CELL = 2
const CELLS = 3
const PASS_PATIENCE_MS = 50

export interface MoverSetup {
  readonly path: string
  readonly cells: Int32Array<SharedArrayBuffer>
  readonly port: MessagePort
}

export type Moved = { readonly progress: Progress } | { readonly code: string; readonly text: string }

/**
 * In a thread of its own: the one that holds the write lock gives it back in time, however long an fsync takes, and the checkpoint then
 * ends beside the writers, as any other does.
 */
export function moveBeside(path: string): Mover & AsyncDisposable {
  const cells = new Int32Array(new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT))
  const { port1: port, port2 } = new MessageChannel()
  const url = new URL('./mover-thread.ts', import.meta.url)
  const worker = new Worker(url, {
    workerData: { path, cells, port: port2 } satisfies MoverSetup,
    transferList: [port2],
    execArgv: url.pathname.endsWith('.ts') ? ['--conditions=source'] : [],
    name: 'salvor-mover',
    resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 32 },
  })
  const take = (): Moved | null => {
    const moved = receiveMessageOnPort(port)?.message as Moved | undefined
    return moved ?? null
  }
  const ask = (patienceMs: number, urgent: boolean): void => {
    Atomics.store(cells, PATIENCE_CELL, Math.max(0, Math.floor(patienceMs * 1000)))
    Atomics.store(cells, URGENT_CELL, urgent ? 1 : 0)
    Atomics.store(cells, TURN.cell, TURN.asked)
    Atomics.notify(cells, TURN.cell)
  }
  const isOver = async (): Promise<void> => {
    await Atomics.waitAsync(cells, TURN.cell, TURN.asked).value
  }
  return {
    isPunctual: true,
    async pass() {
      await isOver()
      take()
      ask(PASS_PATIENCE_MS, false)
      await isOver()
      return progressIn(take())
    },
    within(ms) {
      if (ms <= 0 || Atomics.load(cells, TURN.cell) !== TURN.mine) return null
      ask(ms, true)
      return Atomics.wait(cells, TURN.cell, TURN.asked, ms) === 'timed-out' ? null : progressIn(take())
    },
    async [Symbol.asyncDispose]() {
      await isOver()
      const exited = new Promise((resolve) => worker.once('exit', resolve))
      Atomics.store(cells, TURN.cell, TURN.over)
      Atomics.notify(cells, TURN.cell)
      await exited
      port.close()
    },
  }
}

function progressIn(moved: Moved | null): Progress {
  if (moved === null) throw new Error('the mover said nothing')
  if ('code' in moved) throw coded(moved.code, moved.text)
  return moved.progress
}
