import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { ChangeProgress, ChangeResume, ChangeSink } from '@salvor/shared/ports/changes'
import type { Increment, ParentBackup } from '@salvor/shared/ports/engine'
import type { ChangePiece } from '@salvor/shared/vocabulary/change-set'
import { epochMicros, type Instant } from '@salvor/shared/vocabulary/instant'
import { openFileSink } from '@salvor/testkit/fakes/file-sink'
import { type Bench, now } from '@salvor/testkit/fakes/engine-context'
import { LIMITS, type Limits } from '../config.ts'
import { openEngine } from '../index.ts'
import { applyIncrements } from '../pages/apply-pages.ts'

const never = new AbortController().signal

export interface StoredSet extends Omit<ChangePiece, 'previous'> {
  readonly bytes: Buffer
}

interface Base extends ParentBackup {
  /** The bytes of the full. */
  readonly file: string
}

/** A store and a catalog in memory, with fulls that are taken beside the stream. */
export class MemorySink implements ChangeSink {
  readonly sets: StoredSet[] = []
  readonly refusals: string[] = []
  readonly bases: Base[] = []
  seen: ChangeProgress | null = null
  /** Throw to make the store fail. */
  before: () => void = () => undefined
  readonly #bench: Bench
  readonly #path: string
  readonly #name: string

  constructor(bench: Bench, path: string, name = 'a') {
    this.#name = name
    this.#bench = bench
    this.#path = path
  }

  async base(): Promise<ParentBackup | null> {
    return this.bases.at(-1) ?? null
  }
  async store(
    piece: Omit<ChangePiece, 'previous'>,
    content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    this.before()
    const chunks: Buffer[] = []
    for await (const chunk of content()) chunks.push(Buffer.from(chunk))
    this.sets.push({ ...piece, bytes: Buffer.concat(chunks) })
  }
  async fullNeeded(reason: string): Promise<void> {
    this.refusals.push(reason)
  }
  progress(progress: ChangeProgress): void {
    this.seen = progress
  }

  get resume(): ChangeResume | null {
    return this.sets.at(-1) ?? null
  }

  /** Takes a full as the backup worker would. */
  async backup(limits: Limits = LIMITS): Promise<{ readonly route: string; readonly lock_ms: number }> {
    const id = `00000000-0000-7000-8000-${String(this.bases.length).padStart(12, '0')}`
    const file = this.#bench.path(`full-${this.#name}-${this.bases.length}.db`)
    await using sink = openFileSink(file)
    const { digests, consistent_at, engine_facts } = await openEngine(
      { path: this.#path },
      this.#bench.context(),
      limits,
    ).snapshot(sink, never)
    this.bases.push({ id, file, digests: digests!, consistent_at, engine_facts })
    return { route: String(engine_facts['route']), lock_ms: Number(engine_facts['lock_ms']) }
  }

  /** Base and sets up to the last one that is not behind `at`. */
  #upTo(at: Instant) {
    const last = this.sets.findLastIndex(({ to_at }) => to_at <= at)
    let first = last
    while (this.sets[first]!.stands_on === 'previous') first -= 1
    const base = this.bases.find(({ id }) => id === this.sets[first]!.base)!
    return { base, increments: this.sets.slice(first, last + 1).map(incrementOf), at: this.sets[last]!.to_at }
  }

  /** As the engine restores: with all its checks. */
  async restore(target: string, at: Instant): Promise<Instant> {
    const { base, increments } = this.#upTo(at)
    for (const end of ['', '-wal', '-shm']) rmSync(target + end, { force: true })
    const engine = openEngine({ path: this.#path }, this.#bench.context())
    const request = { target, in_place: false, engine_facts: base.engine_facts, increments }
    const { recovered_to } = await engine.restore(contentOf(readFileSync(base.file)), request, never)
    return recovered_to
  }

  /** The bytes alone, for many instants. */
  async state(target: string, at: Instant): Promise<Instant> {
    const { base, increments, at: recovered } = this.#upTo(at)
    for (const end of ['', '-wal', '-shm']) rmSync(target + end, { force: true })
    copyFileSync(base.file, target)
    await using handle = await open(target, 'r+')
    await applyIncrements(handle, increments, never)
    return recovered
  }
}

function incrementOf({ bytes, to_at, state_sha256 }: StoredSet): Increment {
  const engine_facts = { consistent_at: to_at, state_sha256 }
  return { id: to_at, consistent_at: to_at, engine_facts, open: (work) => work(contentOf(bytes)) }
}

function contentOf(bytes: Buffer): ArtifactContent {
  return {
    size: bytes.length,
    async *chunks() {
      for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000)
    },
    async writeTo(fd) {
      writeSync(fd, bytes, 0, bytes.length, 0)
    },
  }
}

export interface RunningStream extends AsyncDisposable {
  readonly ended: Promise<unknown>
  readonly messages: readonly string[]
  stop(): Promise<unknown>
}

export function startStream(
  bench: Bench,
  path: string,
  sink: MemorySink,
  {
    every_ms = 300,
    limits = LIMITS,
    spool,
    clock = now,
  }: {
    readonly every_ms?: number
    readonly limits?: Limits
    readonly spool?: string
    readonly clock?: () => Instant
  } = {},
): RunningStream {
  const abort = new AbortController()
  const context = { ...bench.context(), now: clock }
  const request = { spool_dir: spool ?? `${context.scratch_dir}/spool`, every_ms, resume: sink.resume }
  const engine = openEngine({ path }, context, limits)
  const ended = engine.changes!.stream(request, sink, abort.signal).catch((error: unknown) => error)
  const stop = (): Promise<unknown> => {
    abort.abort(new Error('stopped'))
    return ended
  }
  return { ended, messages: context.messages, stop, [Symbol.asyncDispose]: async () => void (await stop()) }
}

/** How many transactions of a writer's log must, and may, be in a state of that instant. */
export function committedBy(times: string, at: Instant): { readonly least: number; readonly most: number } {
  const slack = 3_000
  const instant = Number(epochMicros(at))
  const lines = readFileSync(times, 'utf8').split('\n').slice(0, -1)
  const rows = lines.map((line) => line.split(' ').map(Number) as [number, number, number])
  const least = rows.filter(([, , after]) => after < instant - slack).length
  const most = rows.filter(([, before]) => before < instant + slack).length
  return { least, most }
}

export async function until<T>(what: string, look: () => T | null | false | Promise<T | null | false>, ms = 20_000) {
  for (const end = performance.now() + ms; ;) {
    const seen = await look()
    if (seen !== null && seen !== false) return seen
    if (performance.now() > end) throw new Error(`waited ${ms} ms for: ${what}`)
    await sleep(25)
  }
}

/** Until everything that is committed by now is in the sink. */
export async function caughtUp(sink: MemorySink): Promise<void> {
  const at = now()
  await until('everything is stored', () => (sink.seen?.covered_until ?? '') > at)
}

/** Those of this process that open databases. */
export function helperProcesses(): number[] {
  const children = execFileSync('pgrep', ['-P', String(process.pid)], { encoding: 'utf8' })
  return children
    .split('\n')
    .filter(Boolean)
    .map(Number)
    .filter((pid) => existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('child/main'))
}
