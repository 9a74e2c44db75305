import { Worker } from 'node:worker_threads'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactFrames } from '@salvor/shared/ports/artifact'
import type { QueryPart } from '@salvor/shared/ports/reading'
import { FrameSupply } from './frame-supply.ts'
import { type Ask, ENDED, FRAMES, GIVEN, ReaderMemory, type ReaderSetup, type Report, ROWS } from './messages.ts'

type Told = Exclude<Report, { report: 'need' }>

/** The thread in which SQLite reads a state, and this side of it, which brings it the frames. */
export class ReadingThread implements AsyncDisposable {
  readonly #source: string
  readonly #worker: Worker
  readonly #memory: ReaderMemory
  readonly #supply: FrameSupply
  readonly #told: Told[] = []
  #wake: (() => void) | null = null
  /** What the thread died of. */
  #died: SalvorError | null = null
  /** The first frame that could not be had: SQLite knows only that a read failed. */
  #lost: SalvorError | null = null

  private constructor(source: string, setup: ReaderSetup, artifacts: readonly ArtifactFrames[], signal: AbortSignal) {
    this.#source = source
    this.#memory = new ReaderMemory(setup)
    this.#supply = new FrameSupply(artifacts, signal)
    this.#worker = new Worker(new URL('./reader-worker.ts', import.meta.url), {
      workerData: setup,
      execArgv: import.meta.url.endsWith('.ts') ? ['--conditions=source'] : [],
      env: {},
      name: 'salvor-reading',
    })
    this.#worker.on('message', (report: Report) => {
      if (report.report === 'need') void this.#bring(report)
      else this.#tell(report)
    })
    const died = (how: string, cause?: unknown): void => {
      this.#died ??= new SalvorError('TASK_DIED', { task: 'the reading thread', how }, cause)
      this.#wake?.()
    }
    this.#worker.on('error', (error) => died('an error', error))
    this.#worker.on('exit', (code) => died(`exit ${code}`))
  }

  /** READING_UNSUPPORTED, and whatever keeps its first page from being read. */
  static async start(
    source: string,
    setup: ReaderSetup,
    artifacts: readonly ArtifactFrames[],
    signal: AbortSignal,
  ): Promise<ReadingThread> {
    const thread = new ReadingThread(source, setup, artifacts, signal)
    try {
      thread.#assert(await thread.#next())
      return thread
    } catch (error) {
      await thread[Symbol.asyncDispose]()
      throw error
    }
  }

  get dead(): boolean {
    return this.#died !== null
  }

  async *query(sql: string): AsyncGenerator<QueryPart, void, undefined> {
    this.#lost = null
    const ask: Ask = { ask: 'query', sql }
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(ask)
    let ended = false
    try {
      for (;;) {
        const told = await this.#next()
        if (told.report === 'columns') yield { columns: told.columns }
        else if (told.report === 'rows') {
          yield { rows: told.rows }
          this.#memory.answer(ROWS, GIVEN)
        } else {
          ended = true
          return this.#assert(told)
        }
      }
    } finally {
      if (!ended && !this.dead) await this.#drain()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#died ??= new SalvorError('INTERRUPTED')
    await this.#worker.terminate()
    this.#wake?.()
  }

  /** Whoever asked went away: the thread is told at its next batch, and heard out. */
  async #drain(): Promise<void> {
    for (;;) {
      this.#memory.answer(ROWS, ENDED)
      const { report } = await this.#next()
      if (report !== 'columns' && report !== 'rows') return
    }
  }

  async #bring({ artifact, frame, slot }: Extract<Report, { report: 'need' }>): Promise<void> {
    try {
      await this.#supply.bring(artifact, frame, this.#memory.slot(slot))
      this.#memory.answer(FRAMES, GIVEN)
    } catch (error) {
      this.#lost ??= asSalvorError(error)
      this.#memory.answer(FRAMES, ENDED)
    }
  }

  #tell(report: Told): void {
    this.#told.push(report)
    this.#wake?.()
  }

  async #next(): Promise<Told> {
    while (this.#told.length === 0) {
      if (this.#died) throw this.#died
      const told = Promise.withResolvers<void>()
      this.#wake = told.resolve
      await told.promise
    }
    return this.#told.shift()!
  }

  #assert(told: Told): void {
    // Whatever SQLite made of it: an answer over pages that could not be had is none.
    if (this.#lost) throw this.#lost
    const source = this.#source
    if (told.report === 'refused') throw new SalvorError('QUERY_REFUSED', { source, what: told.what })
    if (told.report === 'failed') throw new SalvorError('QUERY_FAILED', { source, reason: told.reason })
    if (told.report === 'unsupported') {
      const fix = `salvor restore ${source} --to NEW_FILE, and open that with SQLite`
      throw new SalvorError('READING_UNSUPPORTED', { source, reason: told.reason, fix })
    }
  }
}
